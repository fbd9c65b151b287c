"""Sends one request to a registry, or to where it sends us, up to the head of the response.

Invariants: at most `Upstream.max_connections` requests are open a registry, and as many where it sends us; from the
moment that a request has its slot, the head of its response has one deadline, however it drips; of an upload, each
piece has one, and the answer after the last. What goes wrong is translated here: Transient where it may be chance,
SourceError where it is not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlencode, urlsplit

import trio

from agent.content.errors import SourceError
from agent.http.client_connection import ClientConnection, ConnectionFailed
from agent.http.headers import Headers
from agent.origin.client import Clients
from agent.origin.connections import Connections, Place
from agent.origin.response import OpenResponse
from agent.origin.retry import Transient
from agent.origin.upload_body import UploadBody
from agent.version import VERSION

_ALWAYS = (("accept-encoding", "identity"), ("user-agent", f"shoal/{VERSION}"))
_FORM = ("content-type", "application/x-www-form-urlencoded")
_Fields = Sequence[tuple[str, str]]


async def open_response(
    clients: Clients,
    method: str,
    url: str,
    *,
    away: bool,
    headers: _Fields = (),
    form: Mapping[str, str] | None = None,
    body: UploadBody | None = None,
) -> OpenResponse:
    """The caller closes it, which frees the slot. Redirects are answers like others."""
    parts = urlsplit(url)
    place, host = Place.of(parts), parts.netloc
    connections, slots = (clients.away, clients.away_slots) if away else (clients.home, clients.home_slots)
    message = _Message.of(method, parts, headers, form, body)

    async def let_go(connection: ClientConnection) -> None:
        slots.release()
        await connections.give_back(connection, place)

    await slots.acquire()
    try:
        connection, status, answered = await _send(clients, connections, place, message, host)
    except BaseException:
        slots.release()
        raise
    stall_seconds = clients.timeouts.stall_seconds
    return OpenResponse(
        connection, status, answered, host, away=away, stall_seconds=stall_seconds, let_go=let_go
    )


@dataclass(frozen=True, slots=True)
class _Message:
    """What goes out. `body`: what `content` is not."""

    method: str
    target: str
    headers: _Fields
    content: bytes
    body: UploadBody | None

    @classmethod
    def of(
        cls,
        method: str,
        url: SplitResult,
        headers: _Fields,
        form: Mapping[str, str] | None,
        body: UploadBody | None,
    ) -> "_Message":
        content = b"" if form is None else urlencode(form).encode()
        fields = [("host", Place.of(url).authority), *_ALWAYS, *headers]
        if all(name != "accept" for name, _ in headers):
            fields.append(("accept", "*/*"))
        if form is not None:
            fields.append(_FORM)
        if method not in ("GET", "HEAD"):
            fields.append(("content-length", str(len(content) if body is None else body.size)))
        target = f"{url.path or '/'}{'?' if url.query else ''}{url.query}"
        return cls(method, target, fields, content, body)


async def _send(
    clients: Clients, connections: Connections, place: Place, message: _Message, host: str
) -> tuple[ClientConnection, int, Headers]:
    timeouts, body = clients.timeouts, message.body
    with trio.move_on_after(timeouts.connect_seconds + timeouts.answer_seconds) as scope:

        def extend(is_end: bool) -> None:
            seconds = timeouts.commit_seconds if is_end else timeouts.answer_seconds
            scope.deadline = trio.current_time() + seconds

        if body is not None:
            body.on_piece = extend
        try:
            connection = await connections.take(place)
            return connection, *await _exchange(connection, message)
        except SourceError as error:
            raise SourceError(f"{clients.upstream.host} {error}: not followed") from None
        except ConnectionFailed as error:
            raise Transient(SourceError(f"{host} cannot be reached: {error}")) from None
    if body is not None:
        raise Transient(SourceError(f"{host} took no more of what was sent, or did not answer, in time"))
    raise Transient(SourceError(f"{host} cannot be reached: no answer in time"))


async def _exchange(connection: ClientConnection, message: _Message) -> tuple[int, Headers]:
    """The head of the answer. Closes the connection where it fails."""
    is_done = False
    try:
        content = message.content if message.body is None else None
        await connection.send_request(message.method, message.target, message.headers, content)
        if message.body is not None:
            try:
                await connection.send_body(message.body)
            except ConnectionFailed:
                pass  # a registry that wants no more of it may have said why, before it closed
        head = await connection.receive_head()
        is_done = True
        return head
    finally:
        if not is_done:
            await connection.aclose()
