"""Locks between processes, by flock(2): the kernel frees them when their holder dies, however it dies.

`try_lock` owns a file that may be deleted at any time (a partial, a process's mark of life); `ProcessLock` is a
critical section over a file that stays. flock belongs to the open file: a second open in one process excludes too.
"""

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.content.errors import DiskError

_PATIENCE_SECONDS = 60.0
_POLL_SECONDS = 0.005


def try_lock(path: Path | str, *, create: bool) -> int | None:
    """A descriptor that holds `path` exclusively (close it to let go), None where someone else does or it is gone.

    Raises OSError. The lock counts only if the path still names the locked file: its last owner may have removed it.
    """
    flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT | os.O_EXCL if create else 0)
    try:
        fd = os.open(path, flags, 0o644)
    except FileExistsError:
        return None
    except FileNotFoundError:
        if create:
            raise  # its directory is gone: another name would not help
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(fd), Path(path).stat()):
            return fd
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)
    return None


class ProcessLock:
    """Mutual exclusion between threads and between processes; a thread may enter again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._threads = threading.RLock()
        self._depth = 0
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Raises DiskError when another process keeps the lock for a minute."""
        with self._threads:
            if self._depth == 0:
                self._flock()
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
                if self._depth == 0:
                    fcntl.flock(self._fd, fcntl.LOCK_UN)

    def close(self) -> None:
        with self._threads:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1

    def _flock(self) -> None:
        if self._fd < 0:
            raise DiskError(f"the store of {self._path.parent} is closed")
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                return fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise DiskError(
                        f"another process has held {self._path} for {_PATIENCE_SECONDS:.0f} s"
                    ) from None
                time.sleep(_POLL_SECONDS)
