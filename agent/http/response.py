"""`Response`, and the Protocols around it: `Handler` makes one, a `Body` sends its bytes into a `BodySink`.

How it ends: a handler or body that raises a ShoalError before the head left becomes an error response; after that
the connection is reset, so that no client takes a short body for a whole one. A client that hangs up, or accepts
nothing for too long, cancels handler and body. Whatever happens, `resources` are closed and `on_done` is called once
a Response has been returned.
"""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Protocol

from agent.content.errors import InputError, NotFound, ShoalError, Throttled
from agent.http.request import BodyTooLarge, Request

Bytes = bytes | bytearray | memoryview


class BodySink(Protocol):
    async def send(self, data: Bytes) -> None:
        """Returns when the kernel (or the TLS layer) has taken all of it."""

    async def send_file(self, fd: int, offset: int, count: int) -> None:
        """`count` bytes of the open file from `offset`; its file position is neither used nor changed."""

    async def flush(self) -> None:
        """Sends the head now, for a body that will have to wait for its first byte."""


class Body(Protocol):
    @property
    def length(self) -> int | None:
        """Bytes, exactly; None where unknown: then it goes out chunked (or until the close, for HTTP/1.0)."""

    async def send_to(self, sink: BodySink) -> None: ...


@dataclass(slots=True)
class Response:
    """Content-Length comes from the body unless a header says it (an answer to HEAD without its body at hand)."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes | Body = b""
    resources: AsyncExitStack | None = None
    """What the body needs while it is sent; entered by the handler, closed by the server, in the same task."""
    on_done: Callable[[int], None] | None = None
    """Told the body bytes that left, when all is over, complete or not."""


Handler = Callable[[Request], Awaitable[Response]]
FailureMapping = Callable[[ShoalError], Response]


def plain_response(status: int, text: str, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    return Response(status, [("Content-Type", "text/plain; charset=utf-8"), *headers], text.encode() + b"\n")


def plain_failure(error: ShoalError) -> Response:
    """The FailureMapping of who brings none. The texts of the error tree are fit for users."""
    if isinstance(error, BodyTooLarge):
        return plain_response(413, str(error))
    if isinstance(error, InputError):
        return plain_response(400, str(error))
    if isinstance(error, NotFound):
        return plain_response(404, str(error))
    if isinstance(error, Throttled):
        return plain_response(503, str(error))
    return plain_response(500, str(error))
