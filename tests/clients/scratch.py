"""`open_scratch`: a directory with a short path that is gone afterwards, whatever was mounted inside it.

pytest's tmp_path will not do: engines put unix sockets deep in their directories, and a socket's path ends at
107 bytes. Real engines also leave mounts behind when they are killed, which would break the removal.
"""

import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def open_scratch() -> Iterator[Path]:
    # Letters and digits alone: podman takes a layout's path for a name, in which `-_` cannot stand.
    directory = Path(tempfile.gettempdir()) / f"shoal-{secrets.token_hex(4)}"
    directory.mkdir(mode=0o700)
    try:
        yield directory
    finally:
        unmount_below(directory)
        shutil.rmtree(directory)


def unmount_below(directory: Path) -> None:
    for mount in sorted(mounts_below(directory), reverse=True):
        subprocess.run(["umount", "--lazy", mount], check=True, capture_output=True)


def mounts_below(directory: Path) -> list[str]:
    """Every mount point in `directory`, as proc_pid_mountinfo(5) tells: the fifth field."""
    with open("/proc/self/mountinfo") as mountinfo:
        points = [line.split()[4] for line in mountinfo]
    return [point for point in points if Path(point).is_relative_to(directory)]
