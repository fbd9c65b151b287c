"""Sends one request to a registry, or to where it sends us, up to the head of the response.

Invariants: at most `Upstream.max_connections` requests are open a registry, and as many where it sends us; from the
moment that a request has its slot, the head of its response has one deadline, however it drips; of an upload, each
piece has one, and the answer after the last. What goes wrong is
translated here: Transient where it may be chance, SourceError where it is not.
"""

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

import httpx
import trio

from agent.content.errors import SourceError
from agent.origin.client import TRANSPORT_FAILURES, Clients, reason_of
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
        if body is None:
            raw = await _send(
                client, client.build_request(method, url, headers=list(headers), data=form), clients, host
            )
        else:
            request = client.build_request(
                method,
                url,
                headers=[*headers, ("content-length", str(body.size))],
                timeout=_patience(clients),
            )
            request.stream = body
            raw = await _upload(client, request, body, clients, host)
    except BaseException:
        slots.release()
        raise
    return OpenResponse(
        raw, host, away=away, stall_seconds=clients.timeouts.stall_seconds, on_close=slots.release
    )


async def _send(
    client: httpx.AsyncClient, request: httpx.Request, clients: Clients, host: str
) -> httpx.Response:
    timeouts = clients.timeouts
    with trio.move_on_after(timeouts.connect_seconds + timeouts.answer_seconds):
        return await _translated(client, request, clients, host)
    raise Transient(SourceError(f"{host} cannot be reached: no answer in time"))


async def _upload(
    client: httpx.AsyncClient, request: httpx.Request, body: UploadBody, clients: Clients, host: str
) -> httpx.Response:
    timeouts = clients.timeouts
    with trio.move_on_after(timeouts.connect_seconds + timeouts.answer_seconds) as scope:

        def extend(is_end: bool) -> None:
            seconds = timeouts.commit_seconds if is_end else timeouts.answer_seconds
            scope.deadline = trio.current_time() + seconds

        body.on_piece = extend
        return await _translated(client, request, clients, host)
    raise Transient(SourceError(f"{host} took no more of what was sent, or did not answer, in time"))


def _patience(clients: Clients) -> httpx.Timeout:
    timeouts = clients.timeouts
    return httpx.Timeout(
        timeouts.commit_seconds, connect=timeouts.connect_seconds, write=timeouts.answer_seconds, pool=None
    )


async def _translated(
    client: httpx.AsyncClient, request: httpx.Request, clients: Clients, host: str
) -> httpx.Response:
    try:
        return await client.send(request, stream=True)
    except SourceError as error:
        raise SourceError(f"{clients.upstream.host} {error}: not followed") from None
    except TRANSPORT_FAILURES as error:
        raise Transient(SourceError(f"{host} cannot be reached: {reason_of(error)}")) from None
