"""Sends one request to a registry, or to where it sends us, up to the head of the response.

Invariants: at most `Upstream.max_connections` requests are open a registry, and as many where it sends us; from the
moment that a request has its slot, the head of its response has one deadline, however it drips; of an upload, each
piece has one, and the answer after the last. What goes wrong is translated here: Transient where it may be chance,
SourceError where it is not.
"""

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

import httpx
import trio

from agent.content.errors import SourceError
from agent.http.client_connection import ConnectionFailed
from agent.origin.client import Clients
from agent.origin.response import OpenResponse
from agent.origin.retry import Transient
from agent.origin.upload_body import UploadBody


async def open_response(
    clients: Clients,
    method: str,
    url: str,
    *,
    away: bool,
    headers: Sequence[tuple[str, str]] = (),
    form: Mapping[str, str] | None = None,
    body: UploadBody | None = None,
) -> OpenResponse:
    """The caller closes it, which frees the slot. Redirects are answers like others."""
    host = urlsplit(url).netloc
    client, slots = (clients.away, clients.away_slots) if away else (clients.home, clients.home_slots)
    await slots.acquire()
    try:
        raw = await _send(clients, client, _request(client, method, url, headers, form, body), body, host)
    except BaseException:
        slots.release()
        raise
    stall_seconds = clients.timeouts.stall_seconds
    return OpenResponse(raw, host, away=away, stall_seconds=stall_seconds, on_close=slots.release)


def _request(
    client: httpx.AsyncClient,
    method: str,
    url: str,
    headers: Sequence[tuple[str, str]],
    form: Mapping[str, str] | None,
    body: UploadBody | None,
) -> httpx.Request:
    """Raises Transient for a URL that httpx cannot read."""
    length = [] if body is None else [("content-length", str(body.size))]
    try:
        request = client.build_request(method, url, headers=[*headers, *length], data=form)
    except httpx.InvalidURL:
        raise Transient(
            SourceError(f"{urlsplit(url).netloc} cannot be reached: the URL is malformed")
        ) from None
    if body is not None:
        request.stream = body
    return request


async def _send(
    clients: Clients,
    client: httpx.AsyncClient,
    request: httpx.Request,
    body: UploadBody | None,
    host: str,
) -> httpx.Response:
    timeouts = clients.timeouts
    with trio.move_on_after(timeouts.connect_seconds + timeouts.answer_seconds) as scope:

        def extend(is_end: bool) -> None:
            seconds = timeouts.commit_seconds if is_end else timeouts.answer_seconds
            scope.deadline = trio.current_time() + seconds

        if body is not None:
            body.on_piece = extend
        try:
            return await client.send(request, stream=True)
        except SourceError as error:
            raise SourceError(f"{clients.upstream.host} {error}: not followed") from None
        except ConnectionFailed as error:
            raise Transient(SourceError(f"{host} cannot be reached: {error}")) from None
    if body is not None:
        raise Transient(SourceError(f"{host} took no more of what was sent, or did not answer, in time"))
    raise Transient(SourceError(f"{host} cannot be reached: no answer in time"))
