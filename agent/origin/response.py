"""`OpenResponse`: a response whose body is read piece by piece and that always ends cleanly.

Invariant: after `close` the connection is either back in the pool, its body read to the end, or closed. Leaving httpx's
nested generators to the garbage collector would do neither in time; `close` runs them to their end, without waiting.
"""

from collections.abc import AsyncIterator, Callable

import httpx
import trio

from agent.content.errors import SourceError
from agent.origin.client import TRANSPORT_FAILURES
from agent.origin.network import OriginStream
from agent.origin.retry import Transient

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
        self._stall_seconds = stall_seconds
        self._on_close: Callable[[], None] | None = on_close
        self._pieces: AsyncIterator[bytes] | None = None
        self._ended = False

    @property
    def content_length(self) -> int | None:
        text = self.headers.get("content-length", "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None

    async def receive_some(self) -> bytes:
        """The next piece of the body as sent, b"" at its end. Raises Transient when it is cut or stalls."""
        try:
            with trio.move_on_after(self._stall_seconds):
                return await self._next_piece()
        except TRANSPORT_FAILURES:
            self._ended = True
            raise Transient(SourceError(f"{self.host} broke off its answer")) from None
        self._ended = True
        raise Transient(SourceError(f"{self.host} sent nothing for {self._stall_seconds:.0f} s"))

    async def read(self, limit_bytes: int, seconds: float) -> bytes | None:
        """The whole body within a deadline; None where it is larger than `limit_bytes`. Raises Transient."""
        parts: list[bytes] = []
        size = 0
        with trio.move_on_after(seconds):
            while piece := await self.receive_some():
                size += len(piece)
                if size > limit_bytes:
                    return None
                parts.append(piece)
            return b"".join(parts)
        raise Transient(SourceError(f"{self.host} took more than {seconds:.0f} s for a small answer"))

    async def close(self) -> None:
        """Give the connection back. A short rest of the body is read for that; else the connection is closed."""
        try:
            await self._read_short_rest()
        finally:
            with trio.CancelScope(shield=True):
                await self._end_now()
            on_close, self._on_close = self._on_close, None
            if on_close is not None:
                on_close()

    async def _read_short_rest(self) -> None:
        rest = 0 if self._response.request.method == "HEAD" else self.content_length
        if self._ended or self._pieces is not None or rest is None or rest > _REST_BYTES:
            return
        with trio.move_on_after(_REST_SECONDS):
            try:
                while await self._next_piece():
                    pass
            except TRANSPORT_FAILURES:
                self._ended = True

    async def _end_now(self) -> None:
        """Waits for nothing: the stream is broken off, so that reading ends with what is buffered."""
        stream = self._response.extensions.get("network_stream")
        if not self._ended and self._pieces is not None:
            assert isinstance(stream, OriginStream)
            stream.break_off()
            try:
                while await self._next_piece():
                    pass
            except TRANSPORT_FAILURES:
                self._ended = True
        await self._response.aclose()

    async def _next_piece(self) -> bytes:
        if self._ended:
            return b""
        if self._pieces is None:
            self._pieces = self._response.aiter_raw()
        async for piece in self._pieces:
            if piece:
                return piece
        self._ended = True
        return b""
