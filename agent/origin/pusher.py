"""`Pusher`: content into one repository of one registry, as the distribution specification has it.

A blob: HEAD (it may be there), POST (which may mount it from another repository of the same registry), PATCH with the
bytes, PUT with the digest. One PATCH and no Content-Range, as Docker does it: every registry takes that. What was sent
is hashed on its way, so a blob that this disk has altered is told as such, and never committed. A blob whose upload
broke goes on from where the registry's session says (GET), where that is still known, else from its start; a few times.
Which content, and in which order, is the caller's.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

from agent.content.digest import Digest, Hasher
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
from agent.origin.upload_sessions import (
    WORTH_RESUMING_BYTES,
    PassingSessions,
    UploadSessions,
    hash_beginning,
    received_bytes,
)
from agent.origin.upstream import Upstream

Outcome = Literal["pushed", "exists", "mounted"]
OnSent = Callable[[int], None]
# Of a HEAD: 400, 405 and 501 are of a registry that knows none; then the blob is sent.
_HEAD_STATUSES = frozenset({200, 400, 404, 405, 501})
_TAKEN = frozenset({200, 201, 202, 204})
_SESSION_STATUSES = frozenset({200, 202, 204})
_EMPTY = BytesContent(b"")


@asynccontextmanager
async def open_pusher(
    upstream: Upstream,
    repository: Repository,
    credentials: CredentialStore,
    *,
    sources: Sequence[Repository] = (),
    options: OriginOptions | None = None,
    sessions: UploadSessions | None = None,
) -> AsyncIterator["Pusher"]:
    """`sources`: repositories of the same registry from which blobs may be mounted. `sessions`: of uploads that an
    earlier pusher began, too. Raises InputError for an upstream that cannot work. Closes every connection at the end.
    """
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
        yield Pusher(repository, exchanges[0], exchanges[1], chosen, sessions or PassingSessions())


@dataclass(frozen=True, slots=True)
class _Begun:
    """An upload that goes on at `hop` with the byte `start`; `hasher` has all before it."""

    hop: Hop
    start: int = 0
    hasher: Hasher | None = None


class Pusher:
    """Made by `open_pusher`. Methods raise Unauthorized, Throttled, SourceError, and what the content raises."""

    def __init__(
        self,
        repository: Repository,
        exchange: Exchange,
        mounting: Exchange,
        options: OriginOptions,
        sessions: UploadSessions,
    ) -> None:
        self.repository = repository
        self._exchange = exchange
        self._mounting = mounting
        self._options = options
        self._sessions = sessions

    async def push_blob(self, blob: Content, source: Repository | None, on_sent: OnSent) -> Outcome:
        """`source`: where on this registry it may be. `on_sent`: up to where it is out, less again when it is sent
        anew. Raises ContentError where the bytes are not those of its digest, and NotFound for a repository that the
        registry wants to be made first."""

        taken = 0

        async def attempt() -> Outcome:
            nonlocal taken
            if await self._has(blob.digest):
                await self._sessions.forget(self.repository, blob.digest)
                return "exists"
            begun = await self._resumed(blob)
            if begun is None:
                mounted = None if source is None else await self._mount(blob.digest, source)
                if mounted == "mounted":
                    return "mounted"
                begun = _Begun(mounted or await self._start(blob.digest))
                await self._keep(blob, begun.hop)
            taken = max(taken, begun.start)
            await self._upload(blob, begun, on_sent)
            return "pushed"

        return await retrying(
            attempt, self._options.retries, self._options.rng, budgeted=False, progress=lambda: taken
        )

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

    async def _resumed(self, blob: Content) -> _Begun | None:
        """The upload of this blob that broke off, where the registry still knows it and has some of it."""
        url = await self._sessions.find(self.repository, blob.digest)
        if url is None:
            return None
        hop = Hop(url, same_origin=True)
        try:
            response = await self._done(
                self._exchange, self._ask("GET", blob.digest, "uploads/", _SESSION_STATUSES, hop)
            )
            start = received_bytes(response.headers.get("range"))
            if 0 < start <= blob.size:
                hop = self._hop(response, hop, blob.digest)
                return _Begun(hop, start, await hash_beginning(blob, start))
        except (Unauthorized, Throttled):
            raise
        except (NotFound, SourceError):
            pass
        await self._sessions.forget(self.repository, blob.digest)
        return None

    async def _keep(self, blob: Content, hop: Hop) -> None:
        if hop.same_origin and blob.size >= WORTH_RESUMING_BYTES:
            await self._sessions.keep(self.repository, blob.digest, hop.url)

    async def _upload(self, blob: Content, begun: _Begun, on_sent: OnSent) -> None:
        hop = begun.hop
        try:
            if begun.start < blob.size:
                hop = await self._send(blob, begun, on_sent)
                await self._keep(blob, hop)
            last = Hop(
                f"{hop.url}{'&' if '?' in hop.url else '?'}digest={blob.digest}", same_origin=hop.same_origin
            )
            ask = self._ask("PUT", blob.digest, "uploads/", _TAKEN, last, UploadBody(_EMPTY))
            await self._done(self._exchange, ask)
        except (Unauthorized, Throttled):
            raise
        except (NotFound, SourceError) as error:
            # The upload is known no more, or other bytes arrived: from the start, it may do.
            await self._sessions.forget(self.repository, blob.digest)
            raise Transient(SourceError(str(error))) from None
        await self._sessions.forget(self.repository, blob.digest)

    async def _send(self, blob: Content, begun: _Begun, on_sent: OnSent) -> Hop:
        """All that is missing; where the upload goes on."""
        body = UploadBody(blob, on_sent, begun.start, begun.hasher)
        place = (("content-range", f"{begun.start}-{blob.size - 1}"),) if begun.start else ()
        ask = self._ask("PATCH", blob.digest, "uploads/", _TAKEN, begun.hop, body, place)
        return self._hop(await self._done(self._exchange, ask), begun.hop, blob.digest)

    def _ask(
        self,
        method: str,
        digest: Digest,
        target: str,
        accepted: frozenset[int],
        hop: Hop | None = None,
        body: UploadBody | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> Ask:
        named = f"{self.repository}@{digest}"
        return Ask(method, self.repository, "blobs", target, headers, accepted, body, hop, named)

    def _hop(self, response: OpenResponse, before: Hop | None, digest: Digest) -> Hop:
        return self._exchange.upload_hop(response, before, self.repository, f"{self.repository}@{digest}")

    @staticmethod
    async def _done(exchange: Exchange, ask: Ask) -> OpenResponse:
        """The head of the answer; the connection is free again."""
        response = await exchange.open(ask)
        await response.close()
        return response
