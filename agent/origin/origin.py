"""`Origin`: what the rest of Shoal asks of registries. Composes clients, authentication, exchange and readers.

HEAD of a tag first is the caller's policy (Docker Hub counts manifest GETs and not HEADs); what a registry says about
its rate limit is kept in `rate_limits`.
"""

import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, TypeVar

from agent.content.digest import Digest
from agent.content.document import MAX_DOCUMENT_BYTES, Descriptor
from agent.content.errors import ContentError, InputError
from agent.content.media_types import ACCEPT_DOCUMENTS, OCTET_STREAM
from agent.content.reference import Repository, is_tag
from agent.origin.authorizer import Authorizer
from agent.origin.client import Timeouts, open_clients
from agent.origin.content_range import range_header
from agent.origin.content_reader import ContentReader, Wanted
from agent.origin.credentials import CredentialStore
from agent.origin.exchange import Ask, Exchange
from agent.origin.network import Resolve
from agent.origin.rate_limit import RateLimit, RateLimits
from agent.origin.response import OpenResponse
from agent.origin.retry import RetryPolicy, Transient
from agent.origin.retrying import retrying
from agent.origin.upstream import Upstream, by_registry

_MAX_BLOB_BYTES = 1 << 46
_ACCEPT = ("accept", ", ".join(ACCEPT_DOCUMENTS))
# 400, 405 and 501: a registry that knows no HEAD; then it is asked with GET.
_HEAD_STATUSES = frozenset({200, 400, 405, 501})
_MAX_MEDIA_TYPE_CHARACTERS = 255
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class RemoteDocument:
    """What a registry says a tag or digest is. `body` where it had to be fetched to know."""

    digest: Digest | None
    size: int | None
    media_type: str | None
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class FetchedDocument:
    """`descriptor.digest` is of `body`, whatever the headers said; its media type is the header's."""

    body: bytes
    descriptor: Descriptor


@dataclass(frozen=True, slots=True)
class OriginOptions:
    """How patient the client is, and where time, chance and names come from."""

    timeouts: Timeouts = field(default_factory=Timeouts)
    retries: RetryPolicy = field(default_factory=RetryPolicy)
    rng: random.Random = field(default_factory=random.Random)
    now_unix: Callable[[], float] = time.time
    resolver: Resolve | None = None
    on_rate_limit: Callable[[RateLimit], None] | None = None


@asynccontextmanager
async def open_origin(
    upstreams: Sequence[Upstream],
    credentials: CredentialStore | None = None,
    options: OriginOptions | None = None,
) -> AsyncIterator["Origin"]:
    """Raises InputError for a configuration that cannot work. Closes every connection at the end."""
    chosen = options or OriginOptions()
    rate_limits = RateLimits(chosen.on_rate_limit)
    exchanges: dict[str, Exchange] = {}
    async with AsyncExitStack() as stack:
        for registry, upstream in by_registry(upstreams).items():
            clients = await stack.enter_async_context(
                open_clients(upstream, chosen.timeouts, chosen.resolver)
            )
            authorizer = Authorizer(clients, credentials or CredentialStore(), chosen.now_unix)
            on_head = partial(rate_limits.note, registry)
            exchanges[registry] = Exchange(clients, authorizer, chosen.now_unix, on_head)
        yield Origin(exchanges, chosen, rate_limits.latest)


class Origin:
    """Made by `open_origin`. `rate_limits` is the last word of each registry that said one."""

    def __init__(
        self, exchanges: Mapping[str, Exchange], options: OriginOptions, rate_limits: Mapping[str, RateLimit]
    ) -> None:
        self.rate_limits = rate_limits
        self._exchanges = exchanges
        self._options = options

    async def head_manifest(self, repository: Repository, target: str) -> RemoteDocument:
        """What `target` (tag or digest) is now, by HEAD; by GET where the registry's HEAD does not tell its digest."""
        digest = _digest_of_target(target)
        exchange = self._exchange(repository)
        ask = Ask("HEAD", repository, "manifests", target, (_ACCEPT,), _HEAD_STATUSES)
        response = await self._retrying(lambda: exchange.open(ask))
        await response.close()
        told = digest or _parse_digest(response.headers.get("docker-content-digest"))
        if response.status == 200 and told is not None:
            return RemoteDocument(told, response.content_length, _media_type(response))
        fetched = await self.get_manifest(repository, target)
        descriptor = fetched.descriptor
        return RemoteDocument(descriptor.digest, descriptor.size, descriptor.media_type, fetched.body)

    async def get_manifest(self, repository: Repository, target: str) -> FetchedDocument:
        """The manifest or index itself. Raises ContentError where it is too large or does not match a digest target."""
        digest = _digest_of_target(target)
        exchange = self._exchange(repository)
        ask = Ask("GET", repository, "manifests", target, (_ACCEPT,))

        async def fetch() -> FetchedDocument:
            response = await exchange.open(ask)
            try:
                body = await _read_document(response, ask.what, exchange.timeouts.document_seconds)
            finally:
                await response.close()
            actual = Digest.of(body, digest.algorithm if digest else "sha256")
            if digest is not None and actual != digest:
                raise Transient(
                    ContentError(f"{exchange.host} sends other bytes for {ask.what}: they are {actual}")
                )
            return FetchedDocument(body, Descriptor(_media_type(response) or OCTET_STREAM, actual, len(body)))

        return await self._retrying(fetch)

    @asynccontextmanager
    async def open_content(
        self,
        repository: Repository,
        digest: Digest,
        *,
        kind: Literal["blobs", "manifests"] = "blobs",
        start: int = 0,
        stop: int | None = None,
        size: int | None = None,
    ) -> AsyncIterator[ContentReader]:
        """A reader of the bytes `start` to `stop` (exclusive; None: to the end). `size` is what the content must have.

        Errors of the first answer are raised on entering. Nothing is asked for an empty range.
        """
        limit = size if stop is None else stop
        if (
            start < 0
            or (limit is not None and limit < start)
            or (stop is not None and size is not None and stop > size)
        ):
            raise InputError(f"invalid range {start} to {stop} of {digest} with {size} bytes")
        exchange = self._exchange(repository)
        what = f"{repository}@{digest}"
        extra = (_ACCEPT,) if kind == "manifests" else ()

        async def ask(position: int, until: int | None) -> OpenResponse:
            span = range_header(position, until)
            headers = (*extra, *((("range", span),) if span else ()))
            return await exchange.open(Ask("GET", repository, kind, str(digest), headers))

        wanted = Wanted(
            what,
            start,
            None if stop == size else stop,
            size,
            MAX_DOCUMENT_BYTES if kind == "manifests" else _MAX_BLOB_BYTES,
            may_be_empty=size == 0 or (size is None and digest == Digest.of(b"", digest.algorithm)),
        )
        reader = ContentReader(ask, wanted, self._options.retries, self._options.rng)
        try:
            await reader.open()
            yield reader
        finally:
            await reader.close()

    def _exchange(self, repository: Repository) -> Exchange:
        exchange = self._exchanges.get(repository.registry)
        if exchange is None:
            raise InputError(
                f"registry {repository.registry} is not configured as an upstream: add it to the setting upstreams"
            )
        return exchange

    async def _retrying(self, attempt: Callable[[], Awaitable[_T]]) -> _T:
        return await retrying(attempt, self._options.retries, self._options.rng)


async def _read_document(response: OpenResponse, what: str, seconds: float) -> bytes:
    length = response.content_length
    body = await response.read(MAX_DOCUMENT_BYTES, seconds) if (length or 0) <= MAX_DOCUMENT_BYTES else None
    if body is None:
        raise ContentError(
            f"{what} is larger than {MAX_DOCUMENT_BYTES} bytes, the most that is accepted of a manifest"
        )
    if not body:
        raise Transient(ContentError(f"{response.host} sends an empty body for {what}"))
    return body


def _digest_of_target(target: str) -> Digest | None:
    """None for a tag. Raises InputError for what is neither: it would end up in a URL."""
    if is_tag(target):
        return None
    if ":" not in target:
        raise InputError(f"invalid tag {target[:150]!r}: up to 128 letters, digits and . _ -")
    return Digest.parse(target)


def _parse_digest(text: str | None) -> Digest | None:
    try:
        return Digest.parse(text) if text else None
    except InputError:
        return None


def _media_type(response: OpenResponse) -> str | None:
    text = (response.headers.get("content-type") or "").split(";")[0].strip().lower()
    return text[:_MAX_MEDIA_TYPE_CHARACTERS] or None
