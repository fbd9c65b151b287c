"""`open_stoppable`: a file, or standard output, whose writer ends soon after the build was interrupted: even one that
waits for whoever reads it. Blocking.
"""

import os
import select
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

from agent.commands.streams import open_output
from builder.layers.interruption import stop_if_cancelled

_WAIT_MILLISECONDS = 100
_PIECE_BYTES = 1 << 20


@contextmanager
def open_stoppable(path: str, doing: str) -> Iterator[Callable[[bytes], object]]:
    """What writes all of it. Raises InputError for a terminal, DiskError, trio.Cancelled."""
    with open_output(path, doing) as file:
        yield _writer(file)


def _writer(file: BinaryIO) -> Callable[[bytes], object]:
    fd = file.fileno()
    is_file = stat.S_ISREG(os.fstat(fd).st_mode)
    room = select.poll()
    room.register(fd, select.POLLOUT)
    piece_bytes = _PIECE_BYTES if is_file else select.PIPE_BUF  # as much as never blocks where there is room

    def write(data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            stop_if_cancelled()
            if is_file or room.poll(_WAIT_MILLISECONDS):
                rest = rest[os.write(fd, rest[:piece_bytes]) :]

    file.flush()
    return write
