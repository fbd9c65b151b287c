"""`WorkArea`: where one build keeps what it is working on, so that nothing is left when it ends, however it ends.

`<build>/work/<random>/` with a locked file `alive`. A build that was killed leaves its area unlocked; the next one sees
that, ends what still runs there (builder/run/left_behind.py), unmounts, and removes the files.
"""

import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from agent.store.disk_errors import disk_errors
from agent.store.file_lock import try_lock
from builder.layers.overlay import unmount
from builder.run.left_behind import ALIVE, clean_up

_CLOSED = -1
_OCTAL = re.compile(rb"\\([0-7]{3})")


class WorkArea:
    """Made by `open_work_area`. It is on the disk from the first directory on that somebody asks for: a build of which
    everything is known needs none."""

    def __init__(self, parent: Path) -> None:
        self.root = parent / secrets.token_hex(8)
        self._lock: int | None = None
        self._count = 0

    def directory(self, name: str) -> Path:
        """A new, empty one. Raises DiskError."""
        self._count += 1
        path = self.root / f"{self._count:04d}-{name}"
        with disk_errors("make a directory", self.root):
            if self._lock is None:
                self._lock = self._made()
            path.mkdir()
        return path

    def close(self) -> None:
        """A thread that nobody waits for any more gets no directory then."""
        lock, self._lock = self._lock, _CLOSED
        if lock is not None:
            _remove(self.root)
            os.close(lock)

    def _made(self) -> int:
        with _locked_parent(self.root.parent):
            self.root.mkdir(mode=0o700)
            lock = try_lock(self.root / ALIVE, create=True)
        assert lock is not None
        return lock


@contextmanager
def open_work_area(parent: Path) -> Iterator[WorkArea]:
    """Removes it afterwards, and before that what killed builds left in `parent`. Raises DiskError."""
    with disk_errors("make a work directory", parent):
        parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        clean_up(parent)  # containers and networks of killed builds
        with _locked_parent(parent):
            for other in parent.iterdir():
                _sweep(other)
    with closing(WorkArea(parent)) as area:
        yield area


def _sweep(root: Path) -> None:
    """Unless its build is alive."""
    lock = try_lock(root / ALIVE, create=False)
    if lock is not None:
        try:
            _remove(root)
        finally:
            os.close(lock)
    elif not (root / ALIVE).exists():  # killed before it was locked
        _remove(root)


@contextmanager
def _locked_parent(parent: Path) -> Iterator[None]:
    """A new area is locked before anybody can take it for a dead one's."""
    fd = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _remove(root: Path) -> None:
    """Nothing is removed through a mount: what is still mounted below goes first."""
    for target in reversed(_mounted_below(root)):
        unmount(target)
    if not _mounted_below(root):
        shutil.rmtree(root, ignore_errors=True)


def _mounted_below(root: Path) -> list[Path]:
    """In the order they were mounted (proc(5), mountinfo: blanks are written in octal)."""
    lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
    targets = [
        os.fsdecode(_OCTAL.sub(lambda one: bytes([int(one[1], 8)]), line.split()[4])) for line in lines
    ]
    return [Path(target) for target in targets if target.startswith(f"{root}/")]
