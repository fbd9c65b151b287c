"""`WorkArea`: where one build keeps what it is working on, so that nothing is left when it ends, however it ends.

`<build>/work/<random>/` with a locked file `alive`. A build that was killed leaves its area unlocked; the next one sees
that, and lets the rooms clean up (containers, mounts, network) before it removes the files.
"""

import fcntl
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.store.disk_errors import disk_errors

_LOCK_NAME = "alive"

CleanUp = Callable[[Path], None]
"""Undo what a room did under this directory: unmount, kill, remove. It may have done nothing there."""


class WorkArea:
    """Made by `open_work_area`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._count = 0

    def directory(self, name: str) -> Path:
        """A new, empty one. Raises DiskError."""
        self._count += 1
        path = self.root / f"{self._count:04d}-{name}"
        with disk_errors("make a directory", self.root):
            path.mkdir()
        return path


@contextmanager
def open_work_area(parent: Path, clean_up: CleanUp) -> Iterator[WorkArea]:
    """Removes it afterwards, and before that what killed builds left in `parent`. Raises DiskError."""
    with disk_errors("make a work directory", parent):
        parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        root = parent / secrets.token_hex(8)
        with _locked_parent(parent):
            _sweep(parent, clean_up)
            root.mkdir(mode=0o700)
            lock = _lock(root)
    assert lock is not None
    try:
        yield WorkArea(root)
    finally:
        _remove(root, clean_up)
        os.close(lock)


def _sweep(parent: Path, clean_up: CleanUp) -> None:
    for root in parent.iterdir():
        if root.is_dir() and (lock := _lock(root)) is not None:
            try:
                _remove(root, clean_up)
            finally:
                os.close(lock)


def _lock(root: Path) -> int | None:
    """None where its build is alive."""
    fd = os.open(root / _LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd


@contextmanager
def _locked_parent(parent: Path) -> Iterator[None]:
    """A new area is locked before anybody can take it for a dead one's."""
    fd = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _remove(root: Path, clean_up: CleanUp) -> None:
    """What is still mounted below is never removed through the mount: rmtree does not cross file systems here."""
    clean_up(root)
    if not any(line.split()[4].startswith(f"{root}/") for line in _mounts()):
        shutil.rmtree(root, ignore_errors=True)


def _mounts() -> list[str]:
    return Path("/proc/self/mountinfo").read_text().splitlines()
