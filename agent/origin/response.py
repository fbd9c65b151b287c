"""`OpenResponse`: a response whose body is read piece by piece and that always ends cleanly.

Invariant: after `close` the connection is either kept for the next request, its body read to the end, or closed.
"""

from collections.abc import Callable

import httpx
import trio

from agent.content.errors import SourceError
from agent.http.client_connection import ConnectionFailed
from agent.origin.retry import Transient
from agent.origin.transport import BODY, Body

_PIECE_BYTES = 64 * 1024
_REST_BYTES = 64 * 1024
_REST_SECONDS = 1.0


class OpenResponse:
    """`host` names who answered, for error texts; `away` says that it was not the registry itself."""

    def __init__(
        self,
        response: httpx.Response,
        host: str,
        *,
        away: bool,
        stall_seconds: float,
        on_close: Callable[[], None],
    ) -> None:
        self.status = response.status_code
        self.headers = response.headers
        self.host = host
        self.away = away
        self._response = response
        self._body: Body = response.extensions[BODY]
        self._stall_seconds = stall_seconds
        self._on_close: Callable[[], None] | None = on_close
        self._failed = False

    @property
    def content_length(self) -> int | None:
        text = self.headers.get("content-length") or ""
        return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None

    async def receive_into(self, buffer: memoryview) -> int:
        """How many of the next bytes of the body, as sent, are in `buffer`; 0 at its end. Raises Transient when it is
        cut or stalls.
        """
        if self._failed:
            return 0
        try:
            with trio.move_on_after(self._stall_seconds):
                return await self._body.receive_into(buffer)
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
        on_close, self._on_close = self._on_close, None
        if on_close is None:
            return
        try:
            rest = self._body.left_bytes
            if rest and rest <= _REST_BYTES and not self._failed:
                with trio.move_on_after(_REST_SECONDS):
                    await self.read(rest, _REST_SECONDS)
        except Transient:
            pass
        finally:
            with trio.CancelScope(shield=True):
                await self._response.aclose()
            on_close()
