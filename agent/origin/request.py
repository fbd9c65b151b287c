"""Sends one request to a registry, or to where it sends us, up to the head of the response.

Invariants: at most `Upstream.max_connections` requests are open a registry, and as many where it sends us; from the
moment that a request has its slot, the head of its response has one deadline, however it drips. What goes wrong is
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


async def open_response(
    clients: Clients,
    method: str,
    url: str,
    *,
    away: bool,
    headers: Sequence[tuple[str, str]] = (),
    form: Mapping[str, str] | None = None,
) -> OpenResponse:
    """The caller closes it, which frees the slot. Redirects are answers like others."""
    host = urlsplit(url).netloc
    client, slots = (clients.away, clients.away_slots) if away else (clients.home, clients.home_slots)
    await slots.acquire()
    try:
        raw = await _send(
            client, client.build_request(method, url, headers=list(headers), data=form), clients, host
        )
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
    try:
        with trio.move_on_after(timeouts.connect_seconds + timeouts.answer_seconds):
            return await client.send(request, stream=True)
    except SourceError as error:
        raise SourceError(f"{clients.upstream.host} {error}: not followed") from None
    except TRANSPORT_FAILURES as error:
        raise Transient(SourceError(f"{host} cannot be reached: {reason_of(error)}")) from None
    raise Transient(SourceError(f"{host} cannot be reached: no answer in time"))
