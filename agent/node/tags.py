"""`Tags`: what a tag points at now, under the tag policy: from memory while fresh, else one revalidation for the
cluster.

Order: what this node knows and policy still allows; the tracker's record; the registry, asked by whom the tracker
leases the question to (HEAD first: Docker Hub counts manifest GETs and not HEADs). A tracker that is away means
that every node asks for itself. A registry that cannot be asked: the last answer that this node or the cluster knows,
where policy allows, marked stale. A 404 is a 404, and who is refused is refused. Never older than what this node has
already seen.
"""

import time
from collections.abc import Callable

import trio

from agent.content.digest import Digest
from agent.content.document import Descriptor, parse_document
from agent.content.errors import NotFound, ShoalError, SourceError, TrackerError, Unauthorized
from agent.content.reference import Repository
from agent.content.stored import Resolved
from agent.node.hop import Hop
from agent.node.tracker_client import TrackerClient
from agent.origin.origin import Origin, RemoteDocument
from agent.settings.settings import TagRule
from agent.store.store import Store
from agent.telemetry.logs import get_log
from agent.telemetry.metrics import Metrics
from agent.wire import tracker_calls as calls
from agent.wire.node_id import NodeId

_REPORT_SECONDS = 3.0
_SHORTEST_RETRY_SECONDS = 0.02
_PATIENCE_SECONDS = 25.0  # containerd gives up on a mirror that is silent for 30 s

_log = get_log("shoal.tags")


class Tags:
    def __init__(
        self,
        store: Store,
        origin: Origin,
        tracker: TrackerClient | None,
        cluster: str,
        node: NodeId,
        rule_for: Callable[[str], TagRule],
        metrics: Metrics,
        hop: Hop,
        now_unix: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._origin = origin
        self._tracker = tracker
        self._cluster = cluster
        self._node = node
        self._rule_for = rule_for
        self._metrics = metrics
        self._hop = hop
        self._now_unix = now_unix

    async def resolve(self, repository: Repository, tag: str) -> Resolved:
        """Raises NotFound, Unauthorized, Throttled, SourceError; InputError for a registry that is no upstream."""
        rule = self._rule_for(f"{repository}:{tag}")
        known = self._store.find_tag(repository, tag)
        if known is not None and 0 <= self._now_unix() - known.checked_at <= rule.max_age:
            self._metrics.count_tag_answer("fresh")
            return Resolved(known.descriptor)
        try:
            record = await self._ask(repository, tag, rule.max_age)
        except NotFound:
            self._metrics.count_tag_answer("revalidated")
            raise
        except Unauthorized:
            self._metrics.count_tag_answer("error")
            raise
        except SourceError as error:
            known = self._store.find_tag(repository, tag)  # the tracker may have told it meanwhile
            if known is None or not rule.stale_if_error:
                self._metrics.count_tag_answer("error")
                raise
            self._metrics.count_tag_answer("stale")
            _log.warning("stale tag served", image=f"{repository}:{tag}", reason=str(error))
            return Resolved(known.descriptor, stale=True)
        self._metrics.count_tag_answer("revalidated")
        return Resolved(await self._remember(repository, tag, record))

    async def confirm(self, repository: Repository, digest: Digest) -> None:
        """That the registry has this manifest there: it has said so of a tag, or is asked. Raises NotFound,
        SourceError.
        """
        if not self._store.is_tagged(repository, digest):
            await self._origin.head_manifest(repository, str(digest))

    async def _remember(self, repository: Repository, tag: str, record: calls.TagRecord) -> Descriptor:
        """The newer of this answer and what is known here. What is known from the future was learned before this
        machine's clock was set back: it is of no known age."""
        now = self._now_unix()
        checked_at = now - record.age_seconds
        known = self._store.find_tag(repository, tag)
        if known is not None and now >= known.checked_at > checked_at:
            return known.descriptor
        descriptor = Descriptor(record.media_type, record.digest, record.size)
        await self._hop(self._store.put_tag, repository, tag, descriptor, checked_at)
        return descriptor

    async def _ask(self, repository: Repository, tag: str, max_age: float) -> calls.TagRecord:
        if self._tracker is None:
            return await self._ask_registry(repository, tag)
        question = calls.Resolve(
            self._cluster, self._node, repository.registry, repository.name, tag, max_age
        )
        with trio.move_on_after(_PATIENCE_SECONDS):
            while True:
                try:
                    answer = await self._tracker.resolve(question)
                except TrackerError:
                    return await self._ask_registry(repository, tag)
                if answer.record is not None:
                    return answer.record
                if answer.last is not None and self._store.find_tag(repository, tag) is None:
                    await self._remember(repository, tag, answer.last)
                if answer.lease:
                    return await self._ask_for_all(self._tracker, repository, tag)
                if answer.not_found:
                    raise NotFound(f"{repository}:{tag} does not exist")
                if answer.failure:
                    raise SourceError(answer.failure)  # another node's, which is ours as well
                await trio.sleep(max(answer.retry_seconds, _SHORTEST_RETRY_SECONDS))
        raise SourceError(f"nobody could say what {repository}:{tag} is within {_PATIENCE_SECONDS:.0f} s")

    async def _ask_for_all(self, tracker: TrackerClient, repository: Repository, tag: str) -> calls.TagRecord:
        """Ask the registry on the cluster's behalf, and report whatever comes of it. A client that hangs up has us ask
        once more, briefly: the others still wait.
        """
        found: calls.TagRecord | ShoalError | None = None
        try:
            found = await self._try_registry(repository, tag)
        finally:
            with trio.CancelScope(deadline=trio.current_time() + _REPORT_SECONDS, shield=True):
                if found is None:
                    found = await self._try_registry(repository, tag)
                await self._report(tracker, repository, tag, found)
        if isinstance(found, ShoalError):
            raise found
        assert found is not None
        return found

    async def _try_registry(self, repository: Repository, tag: str) -> calls.TagRecord | ShoalError:
        try:
            return await self._ask_registry(repository, tag)
        except ShoalError as error:
            return error

    async def _report(
        self, tracker: TrackerClient, repository: Repository, tag: str, found: calls.TagRecord | ShoalError
    ) -> None:
        is_record = isinstance(found, calls.TagRecord)
        not_found = isinstance(found, NotFound)
        outcome = calls.Resolved(
            self._cluster,
            self._node,
            repository.registry,
            repository.name,
            tag,
            found if isinstance(found, calls.TagRecord) else None,
            not_found,
            "" if is_record or not_found else str(found),
        )
        try:
            await tracker.resolved(outcome)
        except TrackerError:
            pass

    async def _ask_registry(self, repository: Repository, tag: str) -> calls.TagRecord:
        registry = repository.registry
        try:
            remote = await self._origin.head_manifest(repository, tag)
        except ShoalError:
            self._metrics.count_registry_request(registry, "error")
            raise
        self._metrics.count_registry_request(registry, "ok")
        if remote.body is None and (remote.size is None or remote.media_type is None):
            fetched = await self._origin.get_manifest(repository, str(remote.digest or tag))
            remote = RemoteDocument(
                fetched.descriptor.digest,
                fetched.descriptor.size,
                fetched.descriptor.media_type,
                fetched.body,
            )
        if remote.digest is None or remote.size is None:
            raise SourceError(f"{registry} does not say what {repository}:{tag} is")
        media_type = remote.media_type or ""
        if remote.body is not None:
            media_type = await self._keep(remote, remote.body)
        return calls.TagRecord(remote.digest, remote.size, media_type, 0.0)

    async def _keep(self, remote: RemoteDocument, body: bytes) -> str:
        """The answer had the manifest itself: keep it, it need not be fetched again. Returns its media type."""
        assert remote.digest is not None
        document = parse_document(body, remote.media_type)
        await self._hop(self._store.put, remote.digest, body)
        return document.media_type
