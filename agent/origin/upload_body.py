"""`UploadBody`: what goes out with a request, piece by piece, with flat memory, as often as it has to be sent.

It is an iterator and no generator: an upload that breaks off leaves nothing for the garbage collector to run. It
extends the deadline of its request with each piece: a slow link is fine, one that takes nothing is not.
"""

from collections.abc import AsyncIterator, Callable
from typing import Protocol

import httpx

from agent.content.digest import Digest, Hasher
from agent.content.errors import ContentError

PIECE_BYTES = 256 * 1024  # one of these has to go out within the time of one answer


class Content(Protocol):
    """Bytes that can be read more than once."""

    @property
    def digest(self) -> Digest: ...

    @property
    def size(self) -> int: ...

    async def read_at(self, position: int, limit_bytes: int) -> bytes:
        """b"" at the end. Raises DiskError."""
        ...


class BytesContent:
    """A Content in memory."""

    def __init__(self, data: bytes) -> None:
        self.digest = Digest.of(data)
        self.size = len(data)
        self._data = data

    async def read_at(self, position: int, limit_bytes: int) -> bytes:
        return self._data[position : position + limit_bytes]


def _unseen(_count: int) -> None:
    """Nobody watches."""


class UploadBody(httpx.AsyncByteStream):
    """`on_sent` is told up to where the content is out; `on_piece` whether all of it is. Ends in ContentError where the
    bytes are not those of the digest: then they must not be committed. What goes on from `start` needs the `hasher` of
    what is before it."""

    def __init__(
        self,
        content: Content,
        on_sent: Callable[[int], None] = _unseen,
        start: int = 0,
        hasher: Hasher | None = None,
    ) -> None:
        self.size = content.size - start
        self.on_piece: Callable[[bool], None] = lambda _is_end: None
        self._content = content
        self._on_sent = on_sent
        self._start = self._position = start
        self._before = hasher or content.digest.new_hasher()
        self._hasher = self._before.copy()

    def __aiter__(self) -> AsyncIterator[bytes]:
        """From the beginning."""
        self._position = self._start
        self._hasher = self._before.copy()
        return self

    async def __anext__(self) -> bytes:
        self._on_sent(self._position)
        left = self._content.size - self._position
        self.on_piece(left == 0)
        piece = await self._content.read_at(self._position, min(PIECE_BYTES, left)) if left else b""
        if not piece:
            if left or not self._content.digest.matches(self._hasher):
                raise ContentError(
                    f"{self._content.digest} is damaged on this disk: `shoal store repair` fetches it again"
                )
            raise StopAsyncIteration
        self._hasher.update(piece)
        self._position += len(piece)
        return piece
