"""A request line as a frozen value: `parse_request` is the one place where paths and queries are strings. PURE.

Which upstream is meant: `?ns=` (containerd, new dockerd), else a registry host that leads the name (podman, skopeo,
CRI-O, by their configuration), else the configured default (dockerd's registry-mirrors).

Invariant: whatever is returned was checked against the grammars of agent.content, so it may stand in URLs and paths.
The path is matched as it was sent. The only percent-encoding accepted is that of the colon, which some clients encode;
any other (`%2e%2e`, `%2f`, `%00`, a second layer) has no place in a name and is refused. Whether an upstream may be
asked is in upstreams.
"""

from dataclasses import dataclass
from urllib.parse import parse_qsl

from agent.content.digest import Digest
from agent.content.errors import InputError
from agent.content.reference import Repository, is_tag, looks_like_registry, parse_registry
from registry_proxy.errors import ErrorCode, RequestRefused

_MAX_PATH_LENGTH = 2048
_MAX_QUERY_FIELDS = 20
_READS = ("GET", "HEAD")
_ENDPOINTS = ("manifests", "blobs", "tags", "referrers")


@dataclass(frozen=True, slots=True)
class Ping:
    """GET /v2/: is this a registry?"""


@dataclass(frozen=True, slots=True)
class ManifestRequest:
    repository: Repository
    target: str | Digest
    """A tag or a digest."""


@dataclass(frozen=True, slots=True)
class BlobRequest:
    repository: Repository
    digest: Digest


@dataclass(frozen=True, slots=True)
class TagsRequest:
    repository: Repository


@dataclass(frozen=True, slots=True)
class ReferrersRequest:
    repository: Repository
    digest: Digest


RegistryRequest = Ping | ManifestRequest | BlobRequest | TagsRequest | ReferrersRequest


def parse_request(method: str, path: str, query: str, default_registry: str) -> RegistryRequest:
    """`path` and `query` as they were sent. Raises RequestRefused with what to answer."""
    if path in {"/v2/", "/v2"}:
        _check_method(method)
        return Ping()
    name, endpoint, reference = _split(path)
    if (endpoint, reference) == ("blobs", "uploads") or reference.startswith("uploads/"):
        raise _unsupported("this mirror takes no pushes", 405, ())
    _check_method(method)
    repository = _repository(name, _namespace(query), default_registry)
    match endpoint:
        case "manifests":
            return ManifestRequest(repository, _manifest_target(reference))
        case "blobs":
            return BlobRequest(repository, _digest(reference))
        case "referrers":
            return ReferrersRequest(repository, _digest(reference))
        case _:
            if reference != "list":
                raise _no_such_path(path)
            return TagsRequest(repository)


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


def _endpoint_places(parts: list[str]) -> list[int]:
    """Uploads have a session behind them (`blobs/uploads/<id>`); every other endpoint is the last but one."""
    uploads = [
        n
        for n in range(1, len(parts) - 1)
        if parts[n : n + 2] == ["blobs", "uploads"] and n >= len(parts) - 3
    ]
    last = len(parts) - 2
    return uploads or ([last] if last >= 1 and parts[last] in _ENDPOINTS else [])


def _check_method(method: str) -> None:
    if method not in _READS:
        raise _unsupported(f"{method[:20]} is not supported here: this mirror serves pulls", 405, _READS)


def _namespace(query: str) -> str | None:
    """The registry of `?ns=`, canonical. Everything else in the query is for the upstream and means nothing here."""
    if not query:
        return None
    try:
        fields = parse_qsl(query, keep_blank_values=True, max_num_fields=_MAX_QUERY_FIELDS, errors="strict")
    except ValueError:
        raise RequestRefused("the query is malformed", ErrorCode.NAME_INVALID) from None
    named = {value for key, value in fields if key == "ns"}
    if len(named) > 1:
        raise RequestRefused("ns names several registries", ErrorCode.NAME_INVALID)
    return _registry(named.pop()) if named else None


def _registry(text: str) -> str:
    try:
        return parse_registry(text)
    except InputError as error:
        raise RequestRefused(str(error), ErrorCode.NAME_INVALID) from None


def _repository(name: str, namespace: str | None, default_registry: str) -> Repository:
    registry = namespace or default_registry
    first, slash, rest = name.partition("/")
    if namespace is None and slash and looks_like_registry(first):
        registry, name = first, rest
    try:
        return Repository.of(registry, name)
    except InputError as error:
        raise RequestRefused(str(error), ErrorCode.NAME_INVALID) from None


def _manifest_target(text: str) -> str | Digest:
    if ":" in text:
        return _digest(text)
    if not is_tag(text):
        # The public conformance suite asks for a tag that no tag can be and wants 404.
        raise RequestRefused(f"no tag can be called {text[:150]!r}", ErrorCode.MANIFEST_UNKNOWN, 404)
    return text


def _digest(text: str) -> Digest:
    try:
        return Digest.parse(text)
    except InputError as error:
        raise RequestRefused(str(error), ErrorCode.DIGEST_INVALID) from None


def _no_such_path(path: str) -> RequestRefused:
    return RequestRefused(f"there is nothing at {path[:200]!r}", ErrorCode.UNSUPPORTED, 404)


def _unsupported(text: str, status: int, allowed: tuple[str, ...]) -> RequestRefused:
    return RequestRefused(text, ErrorCode.UNSUPPORTED, status, (("Allow", ", ".join(allowed)),))
