"""`HttpClient`: a keep-alive HTTP/1.1 client of one server, over whatever stream `connect` opens (TCP, unix, TLS).

For calls between our own parts: tracker calls, the admin socket. Registries are agent.origin's. Every call has a
deadline and a cap; a kept connection that turns out stale costs one silent retry where the request may be repeated.
Failures are raised as what `failure` makes of a text: the caller's branch of the error tree.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass

import trio

from agent.content.errors import ShoalError
from agent.http.client_connection import ClientConnection, ConnectionFailed
from agent.http.headers import Headers

Connect = Callable[[], Awaitable[trio.abc.Stream]]

_IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})
_KEPT_CONNECTIONS = 4
_KEPT_SECONDS = 60.0  # half of what our server keeps an idle connection


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Headers
    body: bytes


class StreamedAnswer:
    """An answer whose body is read as it comes."""

    def __init__(
        self, client: "HttpClient", connection: ClientConnection, status: int, headers: Headers
    ) -> None:
        self._client = client
        self._connection = connection
        self._rest = b""
        self.status = status
        self.headers = headers

    async def receive_some(self, deadline_seconds: float) -> bytes:
        """The next bytes; b"" at the end. Raises the client's failure."""
        with self._client.failing_after(deadline_seconds):
            return await self._connection.receive_some()

    async def receive_line(self, limit_bytes: int, deadline_seconds: float) -> bytes | None:
        """The next line without its newline; None at the end (an unfinished last line counts as one)."""
        with self._client.failing_after(deadline_seconds):
            while b"\n" not in self._rest:
                piece = await self._connection.receive_some()
                if not piece:
                    line, self._rest = self._rest, b""
                    return line or None
                self._rest += piece
                if b"\n" not in self._rest and len(self._rest) > limit_bytes:
                    raise self._client.failed(f"a line of more than {limit_bytes} bytes")
        line, _, self._rest = self._rest.partition(b"\n")
        if len(line) > limit_bytes:
            raise self._client.failed(f"a line of more than {limit_bytes} bytes")
        return line


class HttpClient:
    def __init__(self, connect: Connect, *, host: str, failure: Callable[[str], ShoalError]) -> None:
        """`host` names the server in the Host header and in failures. `connect` may raise OSError or ShoalError."""
        self._connect = connect
        self._host = host
        self._failure = failure
        self._kept: list[ClientConnection] = []

    async def request(
        self,
        method: str,
        target: str,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        *,
        limit_bytes: int,
        deadline_seconds: float,
        idempotent: bool | None = None,
    ) -> Answer:
        """The whole answer within the deadline. `idempotent` overrides what the method's name says."""
        repeat = method in _IDEMPOTENT if idempotent is None else idempotent
        pieces: list[bytes] = []
        total = 0
        with self.failing_after(deadline_seconds):
            async with self._open_response(method, target, headers, body, deadline_seconds, repeat) as answer:
                while piece := await answer.receive_some(deadline_seconds):
                    total += len(piece)
                    if total > limit_bytes:
                        raise self.failed(f"an answer of more than {limit_bytes} bytes")
                    pieces.append(piece)
        return Answer(answer.status, answer.headers, b"".join(pieces))

    def open_response(
        self,
        method: str,
        target: str,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        *,
        deadline_seconds: float,
    ) -> AbstractAsyncContextManager[StreamedAnswer]:
        """The deadline is the head's; the body's reads have their own."""
        return self._open_response(method, target, headers, body, deadline_seconds, method in _IDEMPOTENT)

    @asynccontextmanager
    async def _open_response(
        self,
        method: str,
        target: str,
        headers: Sequence[tuple[str, str]],
        body: bytes,
        deadline_seconds: float,
        repeat: bool,
    ) -> AsyncIterator[StreamedAnswer]:
        with self.failing_after(deadline_seconds):
            connection, status, answered = await self._send(method, target, headers, body, repeat)
        try:
            yield StreamedAnswer(self, connection, status, answered)
        finally:
            await self._let_go(connection)

    async def _send(
        self, method: str, target: str, headers: Sequence[tuple[str, str]], body: bytes, repeat: bool
    ) -> tuple[ClientConnection, int, Headers]:
        fields = [("Host", self._host), *headers]
        if body or method in {"POST", "PUT", "PATCH"}:
            fields.append(("Content-Length", str(len(body))))
        kept = await self._take_kept()
        if kept is not None:
            try:
                return kept, *await self._attempt(kept, method, target, fields, body)
            except ConnectionFailed as error:
                if not (repeat and error.before_answer):
                    raise
        fresh = await self._open()
        return fresh, *await self._attempt(fresh, method, target, fields, body)

    async def _attempt(
        self,
        connection: ClientConnection,
        method: str,
        target: str,
        fields: list[tuple[str, str]],
        body: bytes,
    ) -> tuple[int, Headers]:
        """Closes the connection where it fails."""
        done = False
        try:
            await connection.send_request(method, target, fields, body)
            head = await connection.receive_head()
            done = True
            return head
        finally:
            if not done:
                await connection.aclose()

    async def _take_kept(self) -> ClientConnection | None:
        """The one used last that looks alive; the others were idle for longer and go when their time is up."""
        while self._kept:
            connection = self._kept.pop()
            too_old = trio.current_time() - connection.idle_since > _KEPT_SECONDS
            if not too_old and not connection.is_stale():
                return connection
            await connection.aclose()
        return None

    def is_cut(self) -> bool:
        """Has the server closed a connection that was kept?"""
        return any(connection.is_stale() for connection in self._kept)

    async def _open(self) -> ClientConnection:
        try:
            return ClientConnection(await self._connect())
        except OSError as error:
            raise self.failed(f"cannot connect: {error.strerror or error}") from None

    async def _let_go(self, connection: ClientConnection) -> None:
        if connection.renew() and len(self._kept) < _KEPT_CONNECTIONS:
            self._kept.append(connection)
        else:
            await connection.aclose()

    def failed(self, text: str) -> ShoalError:
        return self._failure(f"{self._host}: {text}")

    @contextmanager
    def failing_after(self, seconds: float) -> Iterator[None]:
        """Inside, an expired deadline and a failed connection become the client's failure."""
        try:
            with trio.move_on_after(seconds) as scope:
                yield
        except ConnectionFailed as error:
            raise self.failed(str(error)) from None
        if scope.cancelled_caught:
            raise self.failed(f"no answer within {seconds:g} s")

    async def aclose(self) -> None:
        while self._kept:
            await self._kept.pop().aclose()
