"""`registry_handler`: the HTTP handler of the registry endpoint, put together from parsers, rules and handlers.

Every failure that the error tree knows is answered here, as OCI JSON; what is not (bugs) is the HTTP server's.
"""

import time
from collections.abc import Callable
from typing import Protocol

import trio

from agent.content.errors import ShoalError
from agent.http.request import Request
from agent.http.response import Handler, Response
from registry_proxy.blobs import answer_blob
from registry_proxy.errors import ErrorCode, RequestRefused, failure_of
from registry_proxy.headers import API_VERSION
from registry_proxy.images import Images
from registry_proxy.manifests import answer_manifest
from registry_proxy.paths import (
    BlobRequest,
    ManifestRequest,
    Ping,
    ReferrersRequest,
    RegistryRequest,
    TagsRequest,
    parse_request,
)
from registry_proxy.upstreams import UpstreamRules

HUNG_UP_STATUS = 499  # for metrics alone: the client left before there was an answer


class ProxyMetrics(Protocol):
    def on_request(self, kind: str, status: int, seconds: float, bytes_sent: int) -> None:
        """One request is over. `kind`: one of _KINDS or "other"; `bytes_sent`: of the body, complete or not."""


class NoMetrics:
    def on_request(self, kind: str, status: int, seconds: float, bytes_sent: int) -> None:
        pass


def registry_handler(
    images: Images,
    upstreams: UpstreamRules,
    metrics: ProxyMetrics | None = None,
    now: Callable[[], float] = time.monotonic,
) -> Handler:
    """Answers everything under /v2/; a path elsewhere is a 404 as well."""
    told = metrics or NoMetrics()

    async def handle(request: Request) -> Response:
        started = now()
        kind = "other"
        try:
            wanted = parse_request(request.method, request.path, request.query, upstreams.default_registry)
            kind = _kind_of(wanted)
            response = await _answer(images, upstreams, wanted, request)
        except ShoalError as error:
            response = failure_response(
                error, ErrorCode.MANIFEST_UNKNOWN if kind == "manifest" else ErrorCode.BLOB_UNKNOWN
            )
        except trio.Cancelled:
            told.on_request(kind, HUNG_UP_STATUS, now() - started, 0)
            raise
        status = response.status
        response.on_done = lambda sent: told.on_request(kind, status, now() - started, sent)
        return response

    return handle


def failure_response(error: ShoalError, unknown: ErrorCode = ErrorCode.UNKNOWN) -> Response:
    """Also fit for serve_http's `on_failure`."""
    failure = failure_of(error, unknown)
    return Response(
        failure.status, [API_VERSION, ("Content-Type", "application/json"), *failure.headers], failure.body
    )


async def _answer(
    images: Images, upstreams: UpstreamRules, wanted: RegistryRequest, request: Request
) -> Response:
    if isinstance(wanted, Ping):
        return Response(200, [API_VERSION, ("Content-Type", "application/json")], b"{}")
    upstreams.check(wanted.repository.registry)
    match wanted:
        case ManifestRequest():
            return await answer_manifest(images, wanted, request)
        case BlobRequest():
            return await answer_blob(images, wanted, request)
        case _:
            raise RequestRefused("this mirror serves manifests and blobs alone", ErrorCode.UNSUPPORTED, 404)


_UNKNOWN = {"manifest": ErrorCode.MANIFEST_UNKNOWN, "blob": ErrorCode.BLOB_UNKNOWN}
_KINDS: dict[type[RegistryRequest], str] = {
    Ping: "ping",
    ManifestRequest: "manifest",
    BlobRequest: "blob",
    TagsRequest: "tags",
    ReferrersRequest: "referrers",
}


def _kind_of(wanted: RegistryRequest) -> str:
    return _KINDS.get(type(wanted), "other")
