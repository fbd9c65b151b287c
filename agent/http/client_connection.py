"""`ClientConnection`: one connection of a client: a request out, a head in, a body in pieces.

h11 makes and reads the heads, and finds the end of a body that is chunked or ends with the connection. A body of a
declared length goes past it, from the socket into the reader's own buffer where it can: that takes a third of the
processor time, and most bytes that a node receives come so.
Every failure of the transport or of the other side's HTTP is a `ConnectionFailed`; deadlines are the caller's.
"""

from collections.abc import AsyncIterable

import h11
import trio

from agent.http.headers import Headers

_READ_BYTES = 64 * 1024
_HEADER_BYTES = 64 * 1024
_TRANSPORT_FAILURES = (trio.BrokenResourceError, trio.ClosedResourceError, OSError)


class ConnectionFailed(Exception):
    """`before_answer`: not a byte of an answer had come, so the request may never have been seen."""

    def __init__(self, text: str, *, before_answer: bool) -> None:
        super().__init__(text)
        self.before_answer = before_answer


class ClientConnection:
    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self._socket = stream.socket if isinstance(stream, trio.SocketStream) else None
        self._protocol = _new_protocol()
        self._answered = False
        self._method = ""
        self._declared: int | None = None  # length of the body
        self._left = 0  # of that, still on the wire
        self._rest = memoryview(b"")  # of the body, received already
        self.idle_since = trio.current_time()

    def is_stale(self) -> bool:
        """Kept and idle, it can only have something to read where the other side has closed it."""
        stream = self._stream
        while isinstance(stream, trio.SSLStream):
            stream = stream.transport_stream
        return isinstance(stream, trio.SocketStream) and stream.socket.is_readable()

    # ---- the request

    async def send_request(
        self,
        method: str,
        target: str,
        headers: list[tuple[str, str]] | list[tuple[bytes, bytes]],
        body: bytes | None,
    ) -> None:
        """`headers` include Host and, for a body, Content-Length. `body` None: it follows by `send_body`."""
        self._answered = False
        self._method, self._declared, self._rest = method, None, memoryview(b"")
        try:
            head = self._protocol.send(h11.Request(method=method, target=target, headers=headers)) or b""
        except (h11.LocalProtocolError, UnicodeEncodeError):
            raise ConnectionFailed("characters that no request may have", before_answer=True) from None
        if body:
            head += self._protocol.send(h11.Data(data=body)) or b""
        if body is not None:
            head += self._protocol.send(h11.EndOfMessage()) or b""
        await self._send_all(head)

    async def send_body(self, pieces: AsyncIterable[bytes]) -> None:
        """As long as was declared. What `pieces` raises passes through."""
        async for piece in pieces:
            await self._send_all(self._protocol.send(h11.Data(data=piece)) or b"")
        await self._send_all(self._protocol.send(h11.EndOfMessage()) or b"")

    async def _send_all(self, data: bytes) -> None:
        if data:
            try:
                await self._stream.send_all(data)
            except _TRANSPORT_FAILURES:
                raise ConnectionFailed("the connection was closed", before_answer=True) from None

    # ---- the answer

    async def receive_head(self) -> tuple[int, Headers]:
        while True:
            event = await self._next_event()
            if isinstance(event, h11.Response):
                headers = Headers(event.headers)
                self._expect_body(event.status_code, headers)
                return event.status_code, headers
            if not isinstance(event, h11.InformationalResponse):
                raise ConnectionFailed("the connection was closed", before_answer=not self._answered)

    def _expect_body(self, status: int, headers: Headers) -> None:
        length = headers.get("content-length")
        if self._method == "HEAD" or status in (204, 304):
            self._declared = self._left = 0
        elif length is not None and "transfer-encoding" not in headers:
            self._declared = int(length)  # digits alone: h11 has checked it
            self._rest = memoryview(self._protocol.trailing_data[0])[: self._declared]
            self._left = self._declared - len(self._rest)

    @property
    def left_bytes(self) -> int | None:
        """What is to come of the body; None where nobody knows."""
        return None if self._declared is None else self._left + len(self._rest)

    async def receive_some(self) -> bytes:
        """The next bytes of the body; b"" at its end."""
        if self._rest:
            rest, self._rest = bytes(self._rest), memoryview(b"")
            return rest
        if self._declared is None:
            return await self._receive_framed()
        if self._left == 0:
            return b""
        data = await self._receive(min(self._left, _READ_BYTES))
        return data[: self._count(len(data))]

    async def receive_into(self, buffer: memoryview) -> int:
        """The same, into `buffer`: how many; 0 at the end."""
        if self._declared and self._left and not self._rest and self._socket is not None:
            try:
                return self._count(await self._socket.recv_into(buffer[: self._left]))
            except _TRANSPORT_FAILURES:
                raise self._cut() from None
        if not self._rest:
            self._rest = memoryview(await self.receive_some())
        count = min(len(self._rest), len(buffer))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def _count(self, received: int) -> int:
        if not received:
            raise self._cut()
        self._left -= received
        return received

    async def _receive_framed(self) -> bytes:
        if self._protocol.their_state is not h11.SEND_BODY:
            return b""
        event = await self._next_event()
        return bytes(event.data) if isinstance(event, h11.Data) else b""

    async def _next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        try:
            while True:
                event = self._protocol.next_event()
                if event is not h11.NEED_DATA:
                    return event
                data = await self._receive(_READ_BYTES)
                self._answered = self._answered or bool(data)
                self._protocol.receive_data(data)
        except h11.RemoteProtocolError as error:
            raise ConnectionFailed(f"malformed answer: {error}", before_answer=not self._answered) from None

    async def _receive(self, limit_bytes: int) -> bytes:
        try:
            return bytes(await self._stream.receive_some(limit_bytes))
        except _TRANSPORT_FAILURES:
            raise self._cut() from None

    def _cut(self) -> ConnectionFailed:
        return ConnectionFailed("the connection was cut", before_answer=not self._answered)

    # ---- the next one

    def renew(self) -> bool:
        """After an answer read to its end: whether the connection can carry another request."""
        protocol = self._protocol
        ahead, is_closed = protocol.trailing_data
        has_ended = protocol.their_state is h11.DONE if self._declared is None else self.left_bytes == 0
        if not has_ended or is_closed or protocol.our_state is not h11.DONE:
            return False
        if len(ahead) > (self._declared or 0):
            return False  # bytes that nobody asked for
        self._protocol = _new_protocol()
        self.idle_since = trio.current_time()
        return True

    async def aclose(self) -> None:
        await trio.aclose_forcefully(self._stream)


def _new_protocol() -> h11.Connection:
    """One for each request: of a body that went past it, h11 would not know that it has ended."""
    return h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEADER_BYTES)
