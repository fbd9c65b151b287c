"""`SocketSender`: the `ByteSender` of plain TCP and unix sockets: writev and sendfile on the descriptor itself.

The common case, a client that keeps up, is one system call without a trip through trio's loop; only a full socket
buffer waits, and only that wait carries a deadline. Serving a file fast is the reason this exists: copying through
Python (StreamSender) costs several times the CPU.
"""

import errno
import fcntl
import os
import socket
import struct
import termios
from collections.abc import Sequence

import trio

from agent.content.errors import DiskError
from agent.http.byte_sender import ConnectionLost
from agent.http.response import Bytes

_SLOW_UNSENT_BYTES = 1024 * 1024
_PATIENCE_SECONDS = (
    0.01  # of waiting, for one file: a client over loopback that keeps up takes 3 ms for a GiB
)
_TURN_BYTES = 4 * 1024 * 1024  # to a client that keeps up; then other tasks get their turn
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class SocketSender:
    def __init__(
        self, stream: trio.SocketStream, stall_seconds: float, unsent_bytes: int | None = None
    ) -> None:
        """`unsent_bytes`: what the kernel may hold that is not on its way yet; whatever is sent next waits for it. By
        default as little as trio sets, until the client turns out slow."""
        self._stream = stream
        self._fd = stream.socket.fileno()
        self._stall_seconds = stall_seconds
        self._is_tcp = stream.socket.family != socket.AF_UNIX
        self._waited_seconds = 0.0
        self._may_hold_more = unsent_bytes is None
        self.file_bytes = 0
        if unsent_bytes is not None:  # TCP_NODELAY is set by trio
            self._set(socket.TCP_NOTSENT_LOWAT, unsent_bytes)

    async def send(self, pieces: Sequence[Bytes]) -> None:
        total = sum(map(len, pieces))
        sent = self._write(pieces)
        if sent < total:
            await self._send_rest(memoryview(b"".join(pieces))[sent:])

    async def _send_rest(self, rest: memoryview) -> None:
        while rest:
            await self._wait_writable()
            rest = rest[self._write([rest]) :]

    def _write(self, pieces: Sequence[Bytes]) -> int:
        try:
            return os.writev(self._fd, pieces)
        except BlockingIOError:
            return 0
        except OSError:
            raise ConnectionLost from None

    async def send_file(self, fd: int, offset: int, count: int) -> None:
        self._waited_seconds = 0.0
        self._cork(True)
        try:
            await self._send_span(fd, offset, offset + count)
        finally:
            self._cork(False)

    async def _send_span(self, fd: int, offset: int, stop: int) -> None:
        while offset < stop:
            wanted = min(_TURN_BYTES, stop - offset)
            sent = self._sendfile(fd, offset, wanted)
            offset += sent
            if sent == wanted:
                await trio.lowlevel.checkpoint()
            else:
                await self._wait_uncorked()

    async def _wait_uncorked(self) -> None:
        """What is left of a segment leaves: held back, it may be all that there is no room for, until TCP_CORK's 200 ms
        are over."""
        self._cork(False)
        await self._wait_writable()
        self._cork(True)

    def _cork(self, on: bool) -> None:
        """Segments as large as they come (tcp(7) TCP_CORK): a tenth more bytes a second on a fast path. Released, the
        rest leaves at once, as TCP_NODELAY has it otherwise."""
        self._set(socket.TCP_CORK, on)

    def _set(self, tcp_option: int, value: int) -> None:
        if self._is_tcp:
            try:
                self._stream.setsockopt(socket.IPPROTO_TCP, tcp_option, value)
            except (OSError, trio.ClosedResourceError):
                pass  # closed meanwhile

    def _sendfile(self, fd: int, offset: int, count: int) -> int:
        try:
            sent = os.sendfile(self._fd, fd, offset, count)
        except BlockingIOError:
            return 0
        except OSError as error:
            if error.errno == errno.EIO:
                raise DiskError(f"cannot read stored content: {error.strerror}") from None
            raise ConnectionLost from None
        if sent == 0:
            raise DiskError("stored content is shorter than it should be")
        self.file_bytes += sent
        return sent

    async def _wait_writable(self) -> None:
        """A slow client is not a stalled one: poll says "writable" only once a third of the buffer is free, so the
        bytes that the kernel still holds decide, looked at when the time is up."""
        began, held = trio.current_time(), self._held_bytes()
        while True:
            with trio.move_on_after(self._stall_seconds):
                await trio.lowlevel.wait_writable(self._fd)
                self._on_waited(trio.current_time() - began)
                return
            before, held = held, self._held_bytes()
            if held >= before:
                raise ConnectionLost

    def _on_waited(self, seconds: float) -> None:
        """A short queue is the fastest way to a client that keeps up (we wait 40 times a GiB over loopback, and it some
        100 times instead of 2,000, each of which would cost us waking it); to any other we would wake up for every
        16 KiB, or for each of many clients in turn."""
        self._waited_seconds += seconds
        if self._may_hold_more and self._waited_seconds > _PATIENCE_SECONDS:
            self._may_hold_more = False
            self._set(socket.TCP_NOTSENT_LOWAT, _SLOW_UNSENT_BYTES)

    def _held_bytes(self) -> int:
        """Given to the kernel and not yet accepted by the client."""
        answer: bytes = fcntl.ioctl(self._fd, termios.TIOCOUTQ, b"\0\0\0\0")
        return int.from_bytes(answer, "little")

    async def send_eof(self) -> None:
        try:
            await self._stream.send_eof()
        except (trio.BrokenResourceError, trio.ClosedResourceError, OSError):
            raise ConnectionLost from None

    async def abort(self) -> None:
        if self._is_tcp:
            try:
                self._stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            except OSError:
                pass  # already gone
        await trio.aclose_forcefully(self._stream)
