"""`registry_handler`: the HTTP handler of the registry endpoint, put together from parsers, rules and handlers.

Every failure that the error tree knows is answered here, as OCI JSON; what is not (bugs) is the HTTP server's.
Whose image a read means that names no registry is decided here, too: the cluster's own where the cluster has such a
repository, else the default upstream's.
"""

import time
from collections.abc import Callable
from typing import Protocol

import trio

from agent.content.errors import NotFound, ShoalError, SourceError, Unauthorized
from agent.content.reference import Repository
from agent.http.request import Request
from agent.http.response import Handler, Response
from registry_proxy.blobs import answer_blob
from registry_proxy.changes import answer_change
from registry_proxy.errors import ErrorCode, RequestRefused, failure_of
from registry_proxy.headers import API_VERSION
from registry_proxy.images import Images
from registry_proxy.listings import answer_catalog, answer_referrers, answer_tags
from registry_proxy.manifests import answer_manifest
from registry_proxy.paths import parse_request
from registry_proxy.pushes import PushSide
from registry_proxy.requests import (
    BlobDelete,
    BlobRequest,
    CatalogRequest,
    Change,
    ManifestDelete,
    ManifestPush,
    ManifestRequest,
    Ping,
    Read,
    ReferrersRequest,
    RegistryRequest,
    TagsRequest,
    UploadAppend,
    UploadBegin,
    UploadCancel,
    UploadFinish,
    UploadRequest,
    UploadStatus,
)
from registry_proxy.uploads import answer_upload
from registry_proxy.upstreams import UpstreamRules

HUNG_UP_STATUS = 499  # for metrics alone: the client left before there was an answer


class ProxyMetrics(Protocol):
    def on_request(self, kind: str, status: int, seconds: float, bytes_sent: int) -> None:
        """One request is over. `kind`: as in _KINDS, or "other"; `bytes_sent`: of the body, complete or not."""


class NoMetrics:
    def on_request(self, kind: str, status: int, seconds: float, bytes_sent: int) -> None:
        pass


def registry_handler(
    images: Images,
    upstreams: UpstreamRules,
    metrics: ProxyMetrics | None = None,
    now: Callable[[], float] = time.monotonic,
    pushes: PushSide | None = None,
) -> Handler:
    """Answers everything under /v2/; a path elsewhere is a 404 as well. `pushes` None: a mirror and nothing else."""
    told = metrics or NoMetrics()
    endpoint = _Endpoint(images, upstreams, pushes)

    async def handle(request: Request) -> Response:
        started = now()
        kind, unknown = "other", ErrorCode.BLOB_UNKNOWN
        try:
            wanted = parse_request(request.method, request.path, request.query, upstreams.default_registry)
            kind, unknown = _KINDS[type(wanted)]
            _check_sender(wanted, request)
            response = await endpoint.answer(wanted, request)
        except ShoalError as error:
            response = failure_response(error, unknown)
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


class _Endpoint:
    def __init__(self, images: Images, upstreams: UpstreamRules, pushes: PushSide | None) -> None:
        self._images = images
        self._upstreams = upstreams
        self._pushes = pushes

    async def answer(self, wanted: RegistryRequest, request: Request) -> Response:
        match wanted:
            case Ping():
                return Response(200, [API_VERSION, ("Content-Type", "application/json")], b"{}")
            case CatalogRequest():
                return await answer_catalog(self._side(), wanted)
            case ManifestRequest():
                return await self._manifest(wanted, request)
            case BlobRequest():
                return await self._blob(wanted, request)
            case TagsRequest() | ReferrersRequest():
                return await self._listing(wanted)
            case ManifestPush() | ManifestDelete() | BlobDelete():
                return await answer_change(self._side(), wanted, request)
            case _:
                return await answer_upload(self._side().uploading, wanted, request)

    def _side(self) -> PushSide:
        if self._pushes is None:
            raise RequestRefused(
                "this mirror takes no pushes", ErrorCode.UNSUPPORTED, 405, (("Allow", "GET, HEAD"),)
            )
        return self._pushes

    async def _own(self, wanted: Read, *, now: bool) -> Repository | None:
        """The cluster's own repository, where it is meant; None where an upstream's is, which then may be asked."""
        if wanted.own is not None and await self._images.is_ours(wanted.own, now=now):
            return wanted.own
        self._upstreams.check(wanted.repository.registry)
        return None

    async def _manifest(self, wanted: ManifestRequest, request: Request) -> Response:
        own = await self._own(wanted, now=True)
        try:
            return await answer_manifest(self._images, own or wanted.repository, wanted.target, request)
        except SourceError as error:
            raise _unknown_to_all(wanted, own, error, request.method) from None

    async def _blob(self, wanted: BlobRequest, request: Request) -> Response:
        own = await self._own(wanted, now=False)
        if own is None and wanted.own is not None and request.method == "HEAD":
            # A push looks which layers it may skip; no client of a mirror asks so. It must not wait for an upstream.
            raise NotFound(f"the cluster has no blob {wanted.digest} in {wanted.own.name}")
        try:
            return await answer_blob(self._images, own or wanted.repository, wanted.digest, request)
        except SourceError as error:
            raise _unknown_to_all(wanted, own, error, request.method) from None

    async def _listing(self, wanted: TagsRequest | ReferrersRequest) -> Response:
        own = await self._own(wanted, now=True)
        if self._pushes is None or wanted.own is None:
            text = "what an upstream has is not listed here: this mirror serves its manifests and blobs alone"
            raise RequestRefused(text, ErrorCode.UNSUPPORTED, 404)
        if isinstance(wanted, ReferrersRequest):
            return await answer_referrers(self._pushes, wanted, own)
        return await answer_tags(self._pushes, wanted, wanted.own)


def _unknown_to_all(
    wanted: ManifestRequest | BlobRequest, own: Repository | None, error: SourceError, method: str
) -> ShoalError:
    """Who names no registry is answered for the cluster, too, and the cluster has no such thing: that the default
    upstream does not answer either makes it no less unknown. (Whoever is about to push takes anything but 404 for a
    reason not to; Docker goes on to its next registry after any error.) Who reads is told, though, where this node's
    credentials are what is missing; who is about to push looks by HEAD.
    """
    if own is not None or wanted.own is None or (isinstance(error, Unauthorized) and method == "GET"):
        return error
    return NotFound(f"the cluster has no repository {wanted.own.name}, and {error}")


def _check_sender(wanted: RegistryRequest, request: Request) -> None:
    """A page in a browser on this machine reaches 127.0.0.1, too. Browsers say whose page it is; engines do not."""
    if isinstance(wanted, Change | UploadRequest) and "origin" in request.headers:
        raise RequestRefused("pages in browsers push nothing", ErrorCode.DENIED, 403)


# What each counts as, and the code of its "not found".
_KINDS: dict[type[RegistryRequest], tuple[str, ErrorCode]] = {
    Ping: ("ping", ErrorCode.UNKNOWN),
    CatalogRequest: ("catalog", ErrorCode.NAME_UNKNOWN),
    ManifestRequest: ("manifest", ErrorCode.MANIFEST_UNKNOWN),
    BlobRequest: ("blob", ErrorCode.BLOB_UNKNOWN),
    TagsRequest: ("tags", ErrorCode.NAME_UNKNOWN),
    ReferrersRequest: ("referrers", ErrorCode.NAME_UNKNOWN),
    UploadBegin: ("upload", ErrorCode.BLOB_UNKNOWN),
    UploadStatus: ("upload", ErrorCode.BLOB_UPLOAD_UNKNOWN),
    UploadAppend: ("upload", ErrorCode.BLOB_UPLOAD_UNKNOWN),
    UploadFinish: ("upload", ErrorCode.BLOB_UPLOAD_UNKNOWN),
    UploadCancel: ("upload", ErrorCode.BLOB_UPLOAD_UNKNOWN),
    ManifestPush: ("push", ErrorCode.MANIFEST_UNKNOWN),
    ManifestDelete: ("delete", ErrorCode.MANIFEST_UNKNOWN),
    BlobDelete: ("delete", ErrorCode.BLOB_UNKNOWN),
}
