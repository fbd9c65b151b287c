"""`disk_errors`: turns what the operating system says about this disk into DiskError, with sizes and what would help.

Every OSError of this package leaves it through here (and SQLite's own errors through database.py).
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.content.errors import DiskError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def disk_error(error: OSError, doing: str, path: Path | str) -> DiskError:
    """`doing` completes "cannot ...": what was tried, with its sizes."""
    reason = error.strerror or str(error)
    if error.errno in _FULL:
        return DiskError(
            f"cannot {doing} in {path}: {reason} ({_free_text(path)}); free some space there, or give the store a "
            "quota or a floor of free space so that it evicts what is least recently used"
        )
    if error.errno in _FORBIDDEN:
        return DiskError(f"cannot {doing} in {path}: {reason}; it must be writable for user {os.geteuid()}")
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return DiskError(f"cannot {doing} in {path}: {reason}; raise the limit of open files")
    return DiskError(f"cannot {doing} in {path}: {reason}")


@contextmanager
def disk_errors(doing: str, path: Path | str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise disk_error(error, doing, path) from error


def free_bytes(path: Path | str) -> int:
    """What an unprivileged writer may still use of the file system that holds `path`. Raises OSError."""
    status = os.statvfs(path)
    return status.f_bavail * status.f_frsize


def _free_text(path: Path | str) -> str:
    try:
        return f"{free_bytes(path)} bytes are free"
    except OSError:
        return "free space unknown"
