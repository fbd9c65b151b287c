"""`Pusher`: content into one repository of one registry, as the distribution specification has it.

A blob: HEAD (it may be there), POST (which may mount it from another repository of the same registry), PATCH with the
bytes, PUT with the digest. One PATCH and no Content-Range, as Docker does it: every registry takes that. What was sent
is hashed on its way, so a blob that this disk has altered is told as such, and never committed. A blob whose upload
broke is sent again from its start, a few times. Which content, and in which order, is the caller's.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Literal

from agent.content.digest import Digest
from agent.content.errors import (
    NotFound,
    ShoalError,
    SourceError,
    Throttled,
    Unauthorized,
)
from agent.content.reference import Repository
from agent.origin.authorizer import Authorizer
from agent.origin.client import open_clients
from agent.origin.credentials import CredentialStore
from agent.origin.exchange import Ask, Exchange
from agent.origin.origin import OriginOptions
from agent.origin.redirect_rule import Hop
from agent.origin.response import OpenResponse
from agent.origin.retry import Transient
from agent.origin.retrying import retrying
from agent.origin.upload_body import BytesContent, Content, UploadBody
from agent.origin.upstream import Upstream

Outcome = Literal["pushed", "exists", "mounted"]
OnSent = Callable[[int], None]
# Of a HEAD: 400, 405 and 501 are of a registry that knows none; then the blob is sent.
_HEAD_STATUSES = frozenset({200, 400, 404, 405, 501})
_TAKEN = frozenset({200, 201, 202, 204})
_EMPTY = BytesContent(b"")


@asynccontextmanager
async def open_pusher(
    upstream: Upstream,
    repository: Repository,
    credentials: CredentialStore,
    *,
    sources: Sequence[Repository] = (),
    options: OriginOptions | None = None,
) -> AsyncIterator["Pusher"]:
    """`sources`: repositories of the same registry from which blobs may be mounted. Raises InputError for an upstream
    that cannot work. Closes every connection at the end."""
    chosen = options or OriginOptions()
    async with open_clients(upstream, chosen.timeouts, chosen.resolver) as clients:
        # Two authorizers: a token server may refuse everything where one of the sources is not ours to read.
        exchanges = [
            Exchange(
                clients,
                Authorizer(clients, credentials, chosen.now_unix, pushes=True, reads_too=reads_too),
                chosen.now_unix,
                lambda _headers: None,
            )
            for reads_too in ((), sources)
        ]
        yield Pusher(repository, exchanges[0], exchanges[1], chosen)


class Pusher:
    """Made by `open_pusher`. Methods raise Unauthorized, Throttled, SourceError, and what the content raises."""

    def __init__(
        self, repository: Repository, exchange: Exchange, mounting: Exchange, options: OriginOptions
    ) -> None:
        self.repository = repository
        self._exchange = exchange
        self._mounting = mounting
        self._options = options

    async def push_blob(self, blob: Content, source: Repository | None, on_sent: OnSent) -> Outcome:
        """`source`: where on this registry it may be. `on_sent`: bytes of it that are out, less again when it is sent
        anew. Raises ContentError where the bytes are not those of its digest, and NotFound for a repository that the
        registry wants to be made first."""

        async def attempt() -> Outcome:
            if await self._has(blob.digest):
                return "exists"
            mounted = None if source is None else await self._mount(blob.digest, source)
            if mounted == "mounted":
                return "mounted"
            await self._upload(blob, mounted or await self._start(blob.digest), on_sent)
            return "pushed"

        return await retrying(attempt, self._options.retries, self._options.rng, budgeted=False)

    async def push_manifest(self, target: str, body: bytes, media_type: str) -> None:
        """`target`: a tag, or the digest itself. All that it names has to be there already. Raises NotFound too."""
        content = BytesContent(body)
        headers = (("content-type", media_type),)

        async def attempt() -> None:
            ask = Ask("PUT", self.repository, "manifests", target, headers, _TAKEN, body=UploadBody(content))
            response = await self._exchange.open(ask)
            await response.close()
            told = response.headers.get("docker-content-digest")
            if told is not None and told.startswith("sha256:") and told != str(content.digest):
                raise SourceError(f"{self._exchange.host} keeps {ask.what} as something else than was sent")

        await retrying(attempt, self._options.retries, self._options.rng)

    async def _has(self, digest: Digest) -> bool:
        ask = Ask("HEAD", self.repository, "blobs", str(digest), accepted=_HEAD_STATUSES)
        return (await self._done(self._exchange, ask)).status == 200

    async def _mount(self, digest: Digest, source: Repository) -> Literal["mounted"] | Hop | None:
        """Where it is not possible: the upload that the registry began instead, or None."""
        target = f"uploads/?mount={digest}&from={source.name}"
        try:
            response = await self._done(self._mounting, self._ask("POST", digest, target, _TAKEN))
            return "mounted" if response.status == 201 else self._hop(response, None, digest)
        except Throttled:
            raise
        except (ShoalError, Transient):
            return None

    async def _start(self, digest: Digest) -> Hop:
        response = await self._done(self._exchange, self._ask("POST", digest, "uploads/", _TAKEN))
        return self._hop(response, None, digest)

    async def _upload(self, blob: Content, hop: Hop, on_sent: OnSent) -> None:
        try:
            if blob.size:
                body = UploadBody(blob, on_sent)
                sent = await self._done(
                    self._exchange, self._ask("PATCH", blob.digest, "uploads/", _TAKEN, hop, body)
                )
                hop = self._hop(sent, hop, blob.digest)
            last = Hop(
                f"{hop.url}{'&' if '?' in hop.url else '?'}digest={blob.digest}", same_origin=hop.same_origin
            )
            ask = self._ask("PUT", blob.digest, "uploads/", _TAKEN, last, UploadBody(_EMPTY))
            await self._done(self._exchange, ask)
        except (Unauthorized, Throttled):
            raise
        except (NotFound, SourceError) as error:
            # The upload is known no more, or other bytes arrived: from the start, it may do.
            raise Transient(SourceError(str(error))) from None

    def _ask(
        self,
        method: str,
        digest: Digest,
        target: str,
        accepted: frozenset[int],
        hop: Hop | None = None,
        body: UploadBody | None = None,
    ) -> Ask:
        named = f"{self.repository}@{digest}"
        return Ask(method, self.repository, "blobs", target, (), accepted, body, hop, named)

    def _hop(self, response: OpenResponse, before: Hop | None, digest: Digest) -> Hop:
        return self._exchange.upload_hop(response, before, self.repository, f"{self.repository}@{digest}")

    @staticmethod
    async def _done(exchange: Exchange, ask: Ask) -> OpenResponse:
        """The head of the answer; the connection is free again."""
        response = await exchange.open(ask)
        await response.close()
        return response
