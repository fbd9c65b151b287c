"""System calls that Python 3.11's os module lacks: mount, umount2, unshare. Failures are OSError."""

import ctypes
import os
from pathlib import Path

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND = 1, 2, 4, 8, 4096
_MNT_DETACH = 2
_CLONE_NEWNET = 0x40000000

_libc = ctypes.CDLL(None, use_errno=True)


def mount(source: str | Path, target: Path, kind: str = "", flags: int = 0, data: str = "") -> None:
    words = [os.fsencode(word) for word in (source, target, kind)]
    _check(_libc.mount(*words, ctypes.c_ulong(flags), os.fsencode(data)), target)


def unmount(target: Path) -> None:
    """What is still used goes when its last user does. Not mounted: nothing happens."""
    if _libc.umount2(os.fsencode(target), _MNT_DETACH) != 0 and ctypes.get_errno() not in (2, 22):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(target))


def unshare_network() -> None:
    """For the calling thread alone."""
    _check(_libc.unshare(_CLONE_NEWNET), None)


def _check(result: int, path: Path | None) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), None if path is None else str(path))
