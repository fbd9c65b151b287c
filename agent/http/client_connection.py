"""`ClientConnection`: one connection of the `HttpClient`: a request out, a head in, a body in pieces.

Every failure of the transport or of the other side's HTTP is a `ConnectionFailed`; deadlines are the caller's.
"""

from collections.abc import Sequence

import h11
import trio

from agent.http.headers import Headers

_READ_BYTES = 64 * 1024
_HEADER_BYTES = 64 * 1024


class ConnectionFailed(Exception):
    """`before_answer`: not a byte of an answer had come, so the request may never have been seen."""

    def __init__(self, text: str, *, before_answer: bool) -> None:
        super().__init__(text)
        self.before_answer = before_answer


class ClientConnection:
    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self._protocol = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEADER_BYTES)
        self._answered = False
        self.idle_since = trio.current_time()

    def is_stale(self) -> bool:
        """Kept and idle, it can only have something to read where the other side has closed it."""
        return isinstance(self._stream, trio.SocketStream) and self._stream.socket.is_readable()

    async def send_request(
        self, method: str, target: str, headers: Sequence[tuple[str, str]], body: bytes
    ) -> None:
        """`headers` include Host and, for a body, Content-Length."""
        self._answered = False
        request = h11.Request(method=method, target=target, headers=list(headers))
        pieces = [self._protocol.send(request), self._protocol.send(h11.Data(data=body)) if body else b""]
        pieces.append(self._protocol.send(h11.EndOfMessage()))
        try:
            await self._stream.send_all(b"".join(pieces))
        except (trio.BrokenResourceError, trio.ClosedResourceError, OSError):
            raise ConnectionFailed("the connection was closed", before_answer=True) from None

    async def receive_head(self) -> tuple[int, Headers]:
        while True:
            event = await self._next_event()
            if isinstance(event, h11.Response):
                return event.status_code, Headers(event.headers)
            if not isinstance(event, h11.InformationalResponse):
                raise ConnectionFailed("the connection was closed", before_answer=not self._answered)

    async def receive_some(self) -> bytes:
        """The next bytes of the body; b"" at its end."""
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
                data = await self._stream.receive_some(_READ_BYTES)
                self._answered = self._answered or bool(data)
                self._protocol.receive_data(bytes(data))
        except h11.RemoteProtocolError as error:
            raise ConnectionFailed(f"malformed answer: {error}", before_answer=not self._answered) from None
        except (trio.BrokenResourceError, trio.ClosedResourceError, OSError):
            raise ConnectionFailed("the connection was cut", before_answer=not self._answered) from None

    def renew(self) -> bool:
        """After an answer read to its end: whether the connection can carry another request."""
        if self._protocol.our_state is not h11.DONE or self._protocol.their_state is not h11.DONE:
            return False
        if self._protocol.trailing_data[0]:
            return False  # bytes that nobody asked for
        self._protocol.start_next_cycle()
        self.idle_since = trio.current_time()
        return True

    async def aclose(self) -> None:
        await trio.aclose_forcefully(self._stream)
