"""A request line as a frozen value: `parse_request` is the one place where paths and queries are strings. PURE.

Which image is meant: `?ns=` names an upstream (containerd, new dockerd), else a registry host that leads the name
(podman, skopeo, CRI-O, by their configuration). Who names none (`127.0.0.1:5050/team/app`) means the cluster's own
image, or where the cluster has no such repository that of the default upstream (dockerd's registry-mirrors). `library/`
is what dockerd calls docker.io's official images, so there the cluster has none, and takes none.

Invariant: whatever is returned was checked against the grammars of agent.content, so it may stand in URLs and paths.
The path is matched as it was sent. The only percent-encoding accepted is that of the colon, which some clients encode;
any other (`%2e%2e`, `%2f`, `%00`, a second layer) has no place in a name and is refused. Whether an upstream may be
asked is in upstreams.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from agent.content.digest import Digest
from agent.content.errors import InputError
from agent.content.reference import CLUSTER_REGISTRY, Repository, is_tag, looks_like_registry
from agent.images.names import UNTAGGED
from registry_proxy.errors import ErrorCode, RequestRefused
from registry_proxy.query import Query, parsed_digest, parsed_registry
from registry_proxy.requests import (
    BlobDelete,
    BlobRequest,
    CatalogRequest,
    ManifestDelete,
    ManifestPush,
    ManifestRequest,
    Ping,
    ReferrersRequest,
    RegistryRequest,
    TagsRequest,
    UploadAppend,
    UploadBegin,
    UploadCancel,
    UploadFinish,
    UploadStatus,
)

_MAX_PATH_LENGTH = 2048
_READS = ("GET", "HEAD")
_ENDPOINTS = ("manifests", "blobs", "tags", "referrers")
_UNTAKEN = "library/"


@dataclass(frozen=True, slots=True)
class _Names:
    """What a path's name means: an upstream's repository, and the cluster's own where no upstream is named."""

    upstream: Repository
    own: Repository | None
    is_named: bool

    @property
    def pushed(self) -> Repository:
        """Where a push goes. Raises RequestRefused."""
        if self.own is not None:
            return self.own
        if self.is_named:
            raise _unsupported(
                f"nothing is pushed to {self.upstream.registry} from here: leave the registry before the name out, and "
                "the image becomes one of this cluster's own",
                405,
                _READS,
            )
        raise RequestRefused(
            f"nothing can be pushed as {self.upstream.name}: {_UNTAKEN} is for the official images of the default "
            f"upstream, {UNTAGGED.name} for images without a name",
            ErrorCode.DENIED,
            403,
        )


def parse_request(method: str, path: str, query: str, default_registry: str) -> RegistryRequest:
    """`path` and `query` as they were sent. Raises RequestRefused with what to answer."""
    if path in {"/v2/", "/v2"}:
        _check_method(method)
        return Ping()
    if path == "/v2/_catalog":
        _check_method(method)
        return CatalogRequest(Query(query).page())
    name, endpoint, reference = _split(path)
    fields = Query(query)
    names = _names(name, fields.registry(), default_registry)
    if endpoint == "blobs" and (reference == "uploads" or reference.startswith("uploads/")):
        return _upload(method, names.pushed, reference.removeprefix("uploads").removeprefix("/"), fields)
    match endpoint:
        case "manifests":
            return _manifest(method, names, reference, fields)
        case "blobs":
            return _blob(method, names, parsed_digest(reference))
        case "referrers":
            _check_method(method)
            kind = fields.text("artifactType") or None
            digest = parsed_digest(reference)
            return ReferrersRequest(names.upstream, digest, fields.page(), kind, names.own)
        case _:
            _check_method(method)
            if reference != "list":
                raise _no_such_path(path)
            return TagsRequest(names.upstream, fields.page(), names.own)


def _upload(method: str, repository: Repository, upload: str, fields: Query) -> RegistryRequest:
    if not upload:
        _check_method(method, ("POST",))
        return UploadBegin(repository, fields.digest("digest"), *_mount(fields))
    match method:
        case "GET":
            return UploadStatus(repository, upload)
        case "PATCH":
            return UploadAppend(repository, upload)
        case "DELETE":
            return UploadCancel(repository, upload)
        case "PUT":
            digest = fields.digest("digest")
            if digest is None:
                raise RequestRefused("the digest of the blob is missing", ErrorCode.DIGEST_INVALID)
            return UploadFinish(repository, upload, digest)
        case _:
            raise _unsupported(f"{method[:20]} is not for uploads", 405, ("GET", "PATCH", "PUT", "DELETE"))


def _mount(fields: Query) -> tuple[Digest | None, Repository | None]:
    """Nothing is mounted from a name that no repository of the cluster can have."""
    digest, origin = fields.digest("mount"), fields.text("from")
    if digest is None or not origin:
        return digest, None
    try:
        return digest, Repository.of(CLUSTER_REGISTRY, origin)
    except InputError:
        return None, None


def _manifest(method: str, names: _Names, reference: str, fields: Query) -> RegistryRequest:
    _check_method(method, (*_READS, "PUT", "DELETE"))
    repository = names.upstream if method in _READS else names.pushed
    if method == "PUT" and ":" not in reference:
        if not is_tag(reference):
            raise RequestRefused(f"no tag can be called {reference[:150]!r}", ErrorCode.MANIFEST_INVALID)
        return ManifestPush(repository, fields.digest("digest"), (reference,))
    target = _manifest_target(reference)
    if isinstance(target, Digest) and method == "PUT":
        return ManifestPush(repository, target, fields.tags())
    return (
        ManifestDelete(repository, target)
        if method == "DELETE"
        else ManifestRequest(repository, target, names.own)
    )


def _blob(method: str, names: _Names, digest: Digest) -> RegistryRequest:
    _check_method(method, (*_READS, "DELETE"))
    if method == "DELETE":
        return BlobDelete(names.pushed, digest)
    return BlobRequest(names.upstream, digest, names.own)


def _split(path: str) -> tuple[str, str, str]:
    """(name, endpoint, what follows). A name may hold the word `blobs`; the last one that can be meant counts."""
    if len(path) > _MAX_PATH_LENGTH:
        raise RequestRefused("the path is too long", ErrorCode.NAME_INVALID)
    plain = path.replace("%3A", ":").replace("%3a", ":")
    if "%" in plain or not plain.isascii():
        raise RequestRefused(
            "percent-encoding and other alphabets have no place in a path", ErrorCode.NAME_INVALID
        )
    if not plain.startswith("/v2/"):
        raise _no_such_path(path)
    parts = plain[len("/v2/") :].split("/")
    for place in _endpoint_places(parts):
        return "/".join(parts[:place]), parts[place], "/".join(parts[place + 1 :])
    raise _no_such_path(path)


def _endpoint_places(parts: Sequence[str]) -> list[int]:
    """Uploads have a session behind them (`blobs/uploads/<id>`); every other endpoint is the last but one."""
    uploads = [
        n
        for n in range(1, len(parts) - 1)
        if list(parts[n : n + 2]) == ["blobs", "uploads"] and n >= len(parts) - 3
    ]
    last = len(parts) - 2
    return uploads or ([last] if last >= 1 and parts[last] in _ENDPOINTS else [])


def _check_method(method: str, allowed: tuple[str, ...] = _READS) -> None:
    if method not in allowed:
        raise _unsupported(f"{method[:20]} is not supported here", 405, allowed)


def _names(name: str, namespace: str | None, default_registry: str) -> _Names:
    registry, rest = namespace or default_registry, name
    first, slash, behind = name.partition("/")
    leads = namespace is None and bool(slash) and looks_like_registry(first)
    if leads:
        registry, rest = parsed_registry(first), behind
    is_named = leads or namespace is not None
    try:
        upstream = Repository.of(registry, rest)
        is_own = not is_named and not name.startswith(_UNTAKEN) and name != UNTAGGED.name
        return _Names(upstream, Repository.of(CLUSTER_REGISTRY, name) if is_own else None, is_named)
    except InputError as error:
        raise RequestRefused(str(error), ErrorCode.NAME_INVALID) from None


def _manifest_target(text: str) -> str | Digest:
    if ":" in text:
        return parsed_digest(text)
    if not is_tag(text):
        # The public conformance suite asks for a tag that no tag can be and wants 404.
        raise RequestRefused(f"no tag can be called {text[:150]!r}", ErrorCode.MANIFEST_UNKNOWN, 404)
    return text


def _no_such_path(path: str) -> RequestRefused:
    return RequestRefused(f"there is nothing at {path[:200]!r}", ErrorCode.UNSUPPORTED, 404)


def _unsupported(text: str, status: int, allowed: tuple[str, ...]) -> RequestRefused:
    return RequestRefused(text, ErrorCode.UNSUPPORTED, status, (("Allow", ", ".join(allowed)),))
