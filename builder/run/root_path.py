"""Where a path of a container lies on this machine: symbolic links are followed as inside it, never out of it.

For trees in which nothing runs at the time: before a container starts, and after it ended.
"""

import os
import stat
from pathlib import Path

from builder.run.errors import RunError

_MOST_LINKS = 255  # as Go's securejoin, which runtimes use
_MOST_BYTES = 16 * 1024 * 1024


def path_in_root(root: Path, path: str) -> Path:
    """Below `root`, without a symbolic link in it; what does not exist is taken as it is written.

    Raises RunError for links in a circle.
    """
    waiting = path.split("/")[::-1]
    parts: list[str] = []
    links = 0
    while waiting:
        part = waiting.pop()
        if part in ("", "."):
            continue
        if part == "..":
            parts = parts[:-1]
            continue
        here = root.joinpath(*parts, part)
        try:
            target = str(here.readlink())
        except OSError:  # no link, or nothing
            parts.append(part)
            continue
        links += 1
        if links > _MOST_LINKS:
            raise RunError(f"{path!r} leads through too many symbolic links")
        if target.startswith("/"):
            parts = []
        waiting += target.split("/")[::-1]
    return root.joinpath(*parts)


def read_in_root(root: Path, path: str) -> bytes | None:
    """A small regular file of the container; None where there is none. Raises RunError for one beyond reason."""
    content = read_start(path_in_root(root, path), _MOST_BYTES + 1)
    if content is not None and len(content) > _MOST_BYTES:
        raise RunError(f"{path} of the image is larger than {_MOST_BYTES} bytes")
    return content


def read_start(path: Path, most_bytes: int) -> bytes | None:
    """Of a regular file; nothing else is waited for, or followed."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        with open(fd, "rb", closefd=False) as file:
            return file.read(most_bytes)
    finally:
        os.close(fd)
