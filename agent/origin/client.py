"""The HTTP clients of one registry: httpx on our transport, set up so that it does nothing behind our back.

`home` speaks to the registry itself, `away` to where it sends us (token servers, CDNs). No redirects, cookies, netrc,
proxies from the environment, content coding or HTTP/2. httpx and httpcore log whole URLs and headers (httpx at INFO):
signed queries and tokens would land in logs, so their loggers are held down here.
"""

import http.cookiejar
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import httpcore
import httpx
import trio

from agent.content.errors import InputError
from agent.origin.network import AwayNetwork, HomeNetwork, Resolve, Whereabouts, resolve
from agent.origin.upstream import Upstream
from agent.version import VERSION

# What may come out of a request; SourceError from network.py comes through as it is.
TRANSPORT_FAILURES = (
    httpcore.NetworkError,
    httpcore.TimeoutException,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
    httpx.HTTPError,
    httpx.InvalidURL,
    httpx.StreamError,
    ssl.SSLError,
)
_KEEPALIVE_SECONDS = 60.0


def reason_of(error: Exception) -> str:
    """A transport failure in words of ours: theirs may quote headers and URLs."""
    tls = _tls_error_in(error)
    if isinstance(tls, ssl.SSLCertVerificationError):
        return "its certificate is not trusted (a private authority is configured by ca_file)"
    if tls is not None:
        return "it does not speak TLS as expected"
    if isinstance(error, httpcore.TimeoutException | httpx.TimeoutException):
        return "no answer in time"
    if isinstance(error, httpcore.ConnectError):
        return "no connection"
    if isinstance(error, httpcore.NetworkError):
        return "the connection broke"
    return "it does not speak HTTP as expected"


def _tls_error_in(error: BaseException | None) -> ssl.SSLError | None:
    """trio and httpcore each wrap a failed handshake in an error of their own."""
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return error
        error = error.__cause__ or error.__context__
    return None


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


class OriginTransport(httpx.AsyncBaseTransport):
    """httpx's way into an httpcore pool with a network backend of our own. httpcore's errors come out untouched."""

    def __init__(self, pool: httpcore.AsyncConnectionPool) -> None:
        self._pool = pool

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = httpcore.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        )
        response = await self._pool.handle_async_request(
            httpcore.Request(
                request.method,
                url,
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx.Response(
            response.status, headers=response.headers, stream=_Body(response), extensions=response.extensions
        )

    async def aclose(self) -> None:
        await self._pool.aclose()


class _Body(httpx.AsyncByteStream):
    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._response.aiter_stream().__aiter__()

    async def aclose(self) -> None:
        await self._response.aclose()


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
    async with AsyncExitStack() as stack:
        home, away = [
            await stack.enter_async_context(_new_client(_new_pool(network, context, upstream), timeouts))
            for network in (HomeNetwork(whereabouts, resolver), AwayNetwork(whereabouts, resolver or resolve))
        ]
        home_slots, away_slots = (trio.Semaphore(upstream.max_connections) for _ in range(2))
        yield Clients(upstream, home, away, home_slots, away_slots, whereabouts, timeouts)


def _new_pool(
    network: httpcore.AsyncNetworkBackend, context: ssl.SSLContext, upstream: Upstream
) -> httpcore.AsyncConnectionPool:
    return httpcore.AsyncConnectionPool(
        ssl_context=context,
        max_connections=upstream.max_connections,
        # the same: httpcore counts busy connections as idle ones when it trims
        max_keepalive_connections=upstream.max_connections,
        keepalive_expiry=_KEEPALIVE_SECONDS,
        network_backend=network,
    )


def _new_client(pool: httpcore.AsyncConnectionPool, timeouts: Timeouts) -> httpx.AsyncClient:
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    no_cookies = http.cookiejar.CookieJar(http.cookiejar.DefaultCookiePolicy(allowed_domains=()))
    return httpx.AsyncClient(
        transport=OriginTransport(pool),
        headers={"accept-encoding": "identity", "user-agent": f"shoal/{VERSION}"},
        timeout=httpx.Timeout(timeouts.answer_seconds, connect=timeouts.connect_seconds, pool=None),
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
    return context
