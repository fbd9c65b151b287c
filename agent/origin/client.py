"""The HTTP clients of one registry: httpx on our transport, set up so that it does nothing behind our back.

`home` speaks to the registry itself, `away` to where it sends us (token servers, CDNs). No redirects, cookies, netrc,
proxies from the environment, content coding or HTTP/2. httpx logs whole URLs at INFO: signed queries would land in
logs, so its logger is held down here.
"""

import http.cookiejar
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import httpx
import trio

from agent.content.errors import InputError
from agent.origin.connections import Connections
from agent.origin.network import AwayNetwork, HomeNetwork, Resolve, Whereabouts, resolve
from agent.origin.transport import OriginTransport
from agent.origin.upstream import Upstream
from agent.version import VERSION


@dataclass(frozen=True, slots=True)
class Timeouts:
    """`answer_seconds`: until the head of a response; `stall_seconds`: between two pieces of a body;
    `document_seconds`: a whole manifest or token, however slowly it drips; `commit_seconds`: from the last byte that we
    sent to the answer (a registry on object storage copies a large blob then)."""

    connect_seconds: float = 5.0
    answer_seconds: float = 20.0
    stall_seconds: float = 10.0
    document_seconds: float = 60.0
    commit_seconds: float = 300.0


@dataclass(frozen=True, slots=True)
class Clients:
    """One registry's clients and what is known of where it is. `timeouts` hold for both."""

    upstream: Upstream
    home: httpx.AsyncClient
    away: httpx.AsyncClient
    home_slots: trio.Semaphore
    away_slots: trio.Semaphore
    whereabouts: Whereabouts
    timeouts: Timeouts


@asynccontextmanager
async def open_clients(
    upstream: Upstream, timeouts: Timeouts = Timeouts(), resolver: Resolve | None = None
) -> AsyncIterator[Clients]:
    """`resolver` stands in for the system's in tests. Raises InputError for an unusable `ca_file`."""
    whereabouts = Whereabouts(allow_private=upstream.allow_private_redirects)
    context = _context_of(upstream)
    home, away = [
        _new_client(Connections(network, context, timeouts.connect_seconds, upstream.max_connections))
        for network in (HomeNetwork(whereabouts, resolver), AwayNetwork(whereabouts, resolver or resolve))
    ]
    home_slots, away_slots = (trio.Semaphore(upstream.max_connections) for _ in range(2))
    try:
        yield Clients(upstream, home, away, home_slots, away_slots, whereabouts, timeouts)
    finally:
        with trio.CancelScope(shield=True):  # closing waits for nobody
            await home.aclose()
            await away.aclose()


def _new_client(connections: Connections) -> httpx.AsyncClient:
    """Deadlines are request.py's and response.py's."""
    logging.getLogger("httpx").setLevel(logging.CRITICAL)
    no_cookies = http.cookiejar.CookieJar(http.cookiejar.DefaultCookiePolicy(allowed_domains=()))
    return httpx.AsyncClient(
        transport=OriginTransport(connections),
        headers={"accept-encoding": "identity", "user-agent": f"shoal/{VERSION}"},
        timeout=None,
        follow_redirects=False,
        trust_env=False,
        cookies=no_cookies,
    )


def _context_of(upstream: Upstream) -> ssl.SSLContext:
    if upstream.ca_file is None:
        return _machine_context()
    context = _new_machine_context()
    try:
        context.load_verify_locations(cafile=upstream.ca_file)
    except (OSError, ssl.SSLError) as error:
        reason = getattr(error, "strerror", None) or "no certificates in PEM form"
        raise InputError(
            f"ca_file {upstream.ca_file} of registry {upstream.registry} is unusable: {reason}"
        ) from None
    return context


@cache
def _machine_context() -> ssl.SSLContext:
    return _new_machine_context()


def _new_machine_context() -> ssl.SSLContext:
    """What this machine trusts (OpenSSL's places, SSL_CERT_FILE and SSL_CERT_DIR), else httpx's bundle."""
    context = ssl.create_default_context()
    paths = ssl.get_default_verify_paths()
    has_own = bool(paths.cafile) or (bool(paths.capath) and any(Path(paths.capath).iterdir()))
    if not has_own:
        context = httpx.create_ssl_context(trust_env=False)
    context.set_alpn_protocols(["http/1.1"])
    return context
