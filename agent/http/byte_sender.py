"""`ByteSender`: how bytes and pieces of files leave on a connection, with a limit on a client that accepts nothing.

`StreamSender` does it on any trio stream (TLS, tests); `socket_sender.SocketSender` on plain sockets by sendfile.
"""

import os
from collections.abc import Sequence
from typing import Protocol

import trio

from agent.content.errors import DiskError
from agent.http.response import Bytes

_PIECE_BYTES = 64 * 1024  # one deadline each: a slow client that takes 64 KiB in time is no stalled one


class ConnectionLost(Exception):
    """The client is gone or accepts nothing. Never seen by handlers: to them it is a cancellation."""


class ByteSender(Protocol):
    file_bytes: int
    """Of files, so far: what of one has left when sending it failed or was cancelled."""

    async def send(self, pieces: Sequence[Bytes]) -> None:
        """All pieces in order. Raises ConnectionLost."""

    async def send_file(self, fd: int, offset: int, count: int) -> None:
        """Raises ConnectionLost; DiskError where the file is shorter or unreadable."""

    async def send_eof(self) -> None:
        """No more will be sent; the other side may still."""

    async def abort(self) -> None:
        """Closes so that the client notices: a reset, where the transport has one."""


class StreamSender:
    def __init__(self, stream: trio.abc.Stream, stall_seconds: float) -> None:
        self._stream = stream
        self._stall_seconds = stall_seconds
        self.file_bytes = 0

    async def send(self, pieces: Sequence[Bytes]) -> None:
        data = memoryview(b"".join(pieces) if len(pieces) > 1 else pieces[0])
        for start in range(0, len(data), _PIECE_BYTES):
            await self._send_piece(data[start : start + _PIECE_BYTES])

    async def _send_piece(self, piece: memoryview) -> None:
        with trio.move_on_after(self._stall_seconds):
            try:
                await self._stream.send_all(piece)
            except (trio.BrokenResourceError, trio.ClosedResourceError, OSError):
                raise ConnectionLost from None
            return
        raise ConnectionLost

    async def send_file(self, fd: int, offset: int, count: int) -> None:
        stop = offset + count
        while offset < stop:
            data = read_file(fd, offset, min(stop - offset, _PIECE_BYTES))
            await self._send_piece(memoryview(data))
            offset += len(data)
            self.file_bytes += len(data)

    async def send_eof(self) -> None:
        if isinstance(self._stream, trio.abc.HalfCloseableStream):
            try:
                await self._stream.send_eof()
            except (trio.BrokenResourceError, trio.ClosedResourceError, OSError):
                raise ConnectionLost from None

    async def abort(self) -> None:
        await trio.aclose_forcefully(self._stream)


def read_file(fd: int, offset: int, count: int) -> bytes:
    """At least one byte, at most `count`. Raises DiskError at the end of the file too: more was promised."""
    try:
        data = os.pread(fd, count, offset)
    except OSError as error:
        raise DiskError(f"cannot read stored content: {error.strerror}") from None
    if not data:
        raise DiskError("stored content is shorter than it should be")
    return data
