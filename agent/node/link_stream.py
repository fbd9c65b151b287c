"""`LinkStream`: the bytes of a peer link, over plain TCP (straight into buffers, out by sendfile) or any trio stream.

This is the seam for TLS between nodes: everything above it is the same, whatever lies below.
"""

import os
import socket
from collections.abc import Sequence
from typing import Protocol

import trio

from agent.content.errors import PeerError
from agent.http.byte_sender import ByteSender, ConnectionLost, StreamSender
from agent.http.response import Bytes
from agent.http.socket_sender import SocketSender

# An answer to an offer waits for chunk bytes that are in the socket already. With a MiB of them 32 nodes at 50 Mbit/s
# answered after 0.31 s on average (so long a holder keeps a slot for nothing), with this after 0.12 s.
UNSENT_BYTES = 128 * 1024
_STALL_SECONDS = 10.0  # a neighbour that accepts no byte for so long is dead
# Linux makes the receive buffer twice as large as this; it would grow so far by itself on any line that is not slow.
_MOST_AT_LEAST_BYTES = 128 * 1024


class LinkStream(Protocol):
    async def receive_into(self, buffer: memoryview, least: int = 1) -> int:
        """At least one byte; 0 at the end. Raises PeerError.

        `least`: so many are on their way; on a slow line it pays to wait for some of them rather than to wake up for
        every packet.
        """

    def look(self) -> None:
        """Whoever waits in receive_into gets what is there, however little."""

    async def send(self, pieces: Sequence[Bytes]) -> None:
        """Raises PeerError."""

    def send_nowait(self, data: bytes) -> int:
        """How many bytes of it could be sent at once; 0 where the link is broken, too."""

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
        super().__init__(stream, SocketSender(stream, _STALL_SECONDS, UNSENT_BYTES))
        self._socket = stream.socket
        self._fd = stream.socket.fileno()
        self._wakes_at = 1

    async def receive_into(self, buffer: memoryview, least: int = 1) -> int:
        """Hardly ever is anything there already: it is waited for first."""
        try:
            self._wake_at(min(least, _MOST_AT_LEAST_BYTES))
            while True:
                await trio.lowlevel.wait_readable(self._socket)
                try:
                    return os.readv(self._fd, [buffer])
                except BlockingIOError:
                    pass
        except (OSError, trio.ClosedResourceError):
            raise PeerError("the link broke") from None

    def send_nowait(self, data: bytes) -> int:
        try:
            return os.write(self._fd, data)
        except OSError:
            return 0

    def look(self) -> None:
        try:
            self._wake_at(1)
        except OSError:
            pass  # it is about to end

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

    def send_nowait(self, data: bytes) -> int:  # noqa: ARG002 (TLS cannot)
        return 0

    def look(self) -> None:
        """It gets what is there anyway."""


def link_stream(stream: trio.abc.Stream) -> LinkStream:
    return SocketLinkStream(stream) if isinstance(stream, trio.SocketStream) else AnyLinkStream(stream)
