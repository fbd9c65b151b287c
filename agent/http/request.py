"""`Request`: what a client asked for, as values; the body is read on demand.

Invariant: `path` starts with `/` (or is `*`) and, like `query`, is raw: nothing here decodes percent signs, because
only who knows the grammar of a path can refuse its odd spellings.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from agent.content.errors import InputError
from agent.http.headers import Headers


class BodyTooLarge(InputError):
    """The request's body exceeds what this resource accepts."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end. `address` is `host:port` for tcp and empty elsewhere."""

    kind: Literal["tcp", "unix", "stream"]
    address: str = ""


class Request:
    __slots__ = ("_receive", "headers", "method", "path", "peer", "query")

    def __init__(
        self,
        method: str,
        target: str,
        headers: Headers,
        receive_body: Callable[[], Awaitable[bytes]],
        peer: Peer = Peer("stream"),
    ) -> None:
        """Raises InputError where `target` is no path. `receive_body` gives pieces, b"" at the end."""
        self.method = method
        self.path, _, self.query = _origin_form(target).partition("?")
        self.headers = headers
        self.peer = peer
        self._receive = receive_body

    async def receive_body_some(self) -> bytes:
        """The next bytes of the body as they come; b"" at its end. Raises InputError where its framing is broken."""
        return await self._receive()

    async def read_body(self, limit_bytes: int) -> bytes:
        """The whole body. Raises BodyTooLarge beyond `limit_bytes`, before reading where its length is declared."""
        declared = self.headers.get("content-length")
        if declared is not None and int(declared) > limit_bytes:  # digits alone: h11 has checked it
            raise BodyTooLarge(f"the body has {declared} bytes: at most {limit_bytes} are accepted")
        pieces: list[bytes] = []
        total = 0
        while piece := await self._receive():
            total += len(piece)
            if total > limit_bytes:
                raise BodyTooLarge(f"the body is longer than the {limit_bytes} bytes that are accepted")
            pieces.append(piece)
        return b"".join(pieces)

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.path}>"  # the query may hold a secret


def _origin_form(target: str) -> str:
    """RFC 9112 3.2.2: a server accepts the absolute form, too; whom it names is no matter of ours."""
    if target.startswith("/") or target == "*":
        return target
    scheme, separator, rest = target.partition("://")
    if separator and scheme.lower() in {"http", "https"}:
        authority, slash, path = rest.partition("/")
        if authority and "?" not in authority:
            return slash + path if slash else "/"
    raise InputError("the request target is no path")
