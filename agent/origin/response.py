"""`OpenResponse`: a response whose body is read piece by piece and that always ends cleanly.

Invariant: after `close` the connection is either kept for the next request, its body read to the end, or closed.
"""

from collections.abc import Awaitable, Callable

import trio

from agent.content.errors import SourceError
from agent.http.client_connection import ClientConnection, ConnectionFailed
from agent.http.headers import Headers
from agent.origin.retry import Transient

_PIECE_BYTES = 64 * 1024
_REST_BYTES = 64 * 1024
_REST_SECONDS = 1.0


class OpenResponse:
    """`host` names who answered, for error texts; `away` says that it was not the registry itself."""

    def __init__(
        self,
        connection: ClientConnection,
        status: int,
        headers: Headers,
        host: str,
        *,
        away: bool,
        stall_seconds: float,
        let_go: Callable[[ClientConnection], Awaitable[None]],
    ) -> None:
        self.status = status
        self.headers = headers
        self.host = host
        self.away = away
        self._connection: ClientConnection | None = connection
        self._stall_seconds = stall_seconds
        self._let_go = let_go
        self._failed = False

    @property
    def content_length(self) -> int | None:
        text = self.headers.get("content-length") or ""
        return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None

    async def receive_into(self, buffer: memoryview) -> int:
        """How many of the next bytes of the body, as sent, are in `buffer`; 0 at its end. Raises Transient when it is
        cut or stalls.
        """
        if self._failed or self._connection is None:
            return 0
        try:
            with trio.move_on_after(self._stall_seconds):
                return await self._connection.receive_into(buffer)
        except ConnectionFailed:
            self._failed = True
            raise Transient(SourceError(f"{self.host} broke off its answer")) from None
        self._failed = True
        raise Transient(SourceError(f"{self.host} sent nothing for {self._stall_seconds:.0f} s"))

    async def read(self, limit_bytes: int, seconds: float) -> bytes | None:
        """The whole body within a deadline; None where it is larger than `limit_bytes`. Raises Transient."""
        body, piece = bytearray(), memoryview(bytearray(_PIECE_BYTES))
        with trio.move_on_after(seconds):
            while count := await self.receive_into(piece):
                body += piece[:count]
                if len(body) > limit_bytes:
                    return None
            return bytes(body)
        raise Transient(SourceError(f"{self.host} took more than {seconds:.0f} s for a small answer"))

    async def close(self) -> None:
        """Give the connection back. A short rest of the body is read for that; else the connection is closed."""
        connection = self._connection
        if connection is None:
            return
        try:
            rest = connection.left_bytes
            if rest and rest <= _REST_BYTES and not self._failed:
                with trio.move_on_after(_REST_SECONDS):
                    await self.read(rest, _REST_SECONDS)
        except Transient:
            pass
        finally:
            self._connection = None
            with trio.CancelScope(shield=True):  # it waits for nobody
                await self._let_go(connection)
