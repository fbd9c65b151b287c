"""`LinkStream`: the bytes of a peer link, over plain TCP (straight into buffers, out by sendfile) or any trio stream.

This is the seam for TLS between nodes: everything above it is the same, whatever lies below.
"""

import socket
from collections.abc import Sequence
from typing import Protocol

import trio

from agent.content.errors import PeerError
from agent.http.byte_sender import ByteSender, ConnectionLost, StreamSender
from agent.http.response import Bytes
from agent.http.socket_sender import SocketSender

_STALL_SECONDS = 10.0  # a neighbour that accepts no byte for so long is dead
# More than half of Linux's first receive buffer (128 KiB) would change the window that TCP offers.
_MOST_AT_LEAST_BYTES = 48 * 1024
_PATIENCE_SECONDS = 0.1


class LinkStream(Protocol):
    async def receive_into(self, buffer: memoryview, least: int = 1) -> int:
        """At least one byte; 0 at the end. Raises PeerError.

        `least`: so many are on their way; on a slow line it pays to wait a moment for them rather than to wake up for
        every packet.
        """

    async def send(self, pieces: Sequence[Bytes]) -> None:
        """Raises PeerError."""

    async def send_file(self, fd: int, offset: int, count: int) -> None:
        """Raises PeerError; DiskError where the file cannot be read."""

    async def aclose(self) -> None: ...


class _Sending:
    def __init__(self, stream: trio.abc.Stream, sender: ByteSender) -> None:
        self._stream = stream
        self._sender = sender

    async def send(self, pieces: Sequence[Bytes]) -> None:
        try:
            await self._sender.send(pieces)
        except ConnectionLost:
            raise PeerError("the link broke") from None

    async def send_file(self, fd: int, offset: int, count: int) -> None:
        try:
            await self._sender.send_file(fd, offset, count)
        except ConnectionLost:
            raise PeerError("the link broke") from None

    async def aclose(self) -> None:
        await trio.aclose_forcefully(self._stream)


class SocketLinkStream(_Sending):
    def __init__(self, stream: trio.SocketStream) -> None:
        super().__init__(stream, SocketSender(stream, _STALL_SECONDS))
        self._socket = stream.socket
        self._wakes_at = 1

    async def receive_into(self, buffer: memoryview, least: int = 1) -> int:
        try:
            if least > 1:
                self._wake_at(min(least, _MOST_AT_LEAST_BYTES))
                with trio.move_on_after(_PATIENCE_SECONDS):
                    return await self._socket.recv_into(buffer)
            self._wake_at(1)
            return await self._socket.recv_into(buffer)
        except (OSError, trio.ClosedResourceError):
            raise PeerError("the link broke") from None

    def _wake_at(self, count: int) -> None:
        """The socket counts as readable once `count` bytes are there (or the end, or an error)."""
        if count != self._wakes_at:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, count)
            self._wakes_at = count


class AnyLinkStream(_Sending):
    """`stream` may be TLS, or a pair in memory."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        super().__init__(stream, StreamSender(stream, _STALL_SECONDS))
        self._receiving = stream

    async def receive_into(self, buffer: memoryview, least: int = 1) -> int:  # noqa: ARG002 (as it comes)
        try:
            data = await self._receiving.receive_some(len(buffer))
        except (trio.BrokenResourceError, trio.ClosedResourceError, OSError):
            raise PeerError("the link broke") from None
        buffer[: len(data)] = data
        return len(data)


def link_stream(stream: trio.abc.Stream) -> LinkStream:
    return SocketLinkStream(stream) if isinstance(stream, trio.SocketStream) else AnyLinkStream(stream)
