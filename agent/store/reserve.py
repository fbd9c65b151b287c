"""`reserve`: a little of the disk that is kept for the index: on a full disk, what makes room needs some itself.

Without it `shoal rmi` and `shoal prune` would fail with the disk full to the last byte, as everything else does. Who
opens the store on a full disk gives it up, and sets it aside again at the end if there is room then.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from agent.store.disk_errors import free_bytes

RESERVE_BYTES = 4 << 20
_FULL_BELOW_BYTES = 1 << 20
_AMPLE_BYTES = 64 << 20


@contextmanager
def reserve(file: Path) -> Iterator[None]:
    """`file`: what holds the room; its directory exists. Raises OSError where that cannot be read."""
    room, is_there = free_bytes(file.parent), file.exists()
    is_given_up = is_there and room < _FULL_BELOW_BYTES
    if is_given_up:
        file.unlink(missing_ok=True)
    elif not is_there and room >= _AMPLE_BYTES:
        _set_aside(file)
    try:
        yield
    finally:
        if is_given_up:
            _set_aside(file)


def _set_aside(file: Path) -> None:
    """All of it or nothing: less would not be worth a file."""
    try:
        descriptor = os.open(file, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError:
        return
    try:
        os.posix_fallocate(descriptor, 0, RESERVE_BYTES)
    except OSError:
        with suppress(OSError):
            file.unlink()
    finally:
        os.close(descriptor)
