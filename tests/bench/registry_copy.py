"""`copy_of`: another registry's directory with the same content, for a process with a log of its own."""

from pathlib import Path


def copy_of(directory: Path, name: str) -> Path:
    """Beside `directory`; both have the same data."""
    copy = directory.parent / f"{directory.name}-{name}"
    copy.mkdir(exist_ok=True)
    data = copy / "data"
    data.unlink(missing_ok=True)
    data.symlink_to((directory / "data").resolve())
    return copy
