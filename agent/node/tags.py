"""`Tags`: what a tag points at now, under the tag policy: from memory while fresh, else one revalidation for the
cluster.

Order: what this node knows and policy still allows; the tracker's record; the registry, asked by whom the tracker
leases the question to (HEAD first: Docker Hub counts manifest GETs and not HEADs). A tracker that is away means
that every node asks for itself. A registry that cannot be asked: the last known answer, where policy allows, marked
stale. A 404 is a 404. Never older than what this node has already seen.
"""

import time
from collections.abc import Callable
from dataclasses import replace

import trio

from agent.content.document import Descriptor, parse_document
from agent.content.errors import NotFound, ShoalError, SourceError, TrackerError
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
        if known is not None and self._now_unix() - known.checked_at <= rule.max_age:
            self._metrics.count_tag_answer("fresh")
            return Resolved(known.descriptor)
        try:
            record = await self._ask(repository, tag, rule.max_age)
        except NotFound:
            self._metrics.count_tag_answer("revalidated")
            raise
        except SourceError as error:
            if known is None or not rule.stale_if_error:
                self._metrics.count_tag_answer("error")
                raise
            self._metrics.count_tag_answer("stale")
            _log.warning("stale tag served", image=f"{repository}:{tag}", reason=str(error))
            return Resolved(known.descriptor, stale=True)
        self._metrics.count_tag_answer("revalidated")
        return Resolved(await self._remember(repository, tag, record))

    async def _remember(self, repository: Repository, tag: str, record: calls.TagRecord) -> Descriptor:
        """The newer of this answer and what is known here."""
        checked_at = self._now_unix() - record.age_seconds
        known = self._store.find_tag(repository, tag)
        if known is not None and known.checked_at > checked_at:
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
                if answer.lease:
                    return await self._ask_for_all(self._tracker, repository, tag)
                if answer.not_found:
                    raise NotFound(f"{repository}:{tag} does not exist")
                if answer.failure:
                    return await self._last_or_fail(answer, repository, tag)
                await trio.sleep(answer.retry_seconds)
        raise SourceError(f"nobody could say what {repository}:{tag} is within {_PATIENCE_SECONDS:.0f} s")

    async def _last_or_fail(
        self, answer: calls.ResolveAnswer, repository: Repository, tag: str
    ) -> calls.TagRecord:
        """Another node was refused by the registry: its failure is ours; the cluster's last answer may do instead."""
        if answer.last is not None and self._store.find_tag(repository, tag) is None:
            await self._remember(repository, tag, answer.last)
        raise SourceError(answer.failure)

    async def _ask_for_all(self, tracker: TrackerClient, repository: Repository, tag: str) -> calls.TagRecord:
        """Ask the registry on the cluster's behalf, and report whatever comes of it."""
        outcome = calls.Resolved(
            self._cluster, self._node, repository.registry, repository.name, tag, None, failure="interrupted"
        )
        try:
            record = await self._ask_registry(repository, tag)
            outcome = replace(outcome, record=record, failure="")
            return record
        except NotFound:
            outcome = replace(outcome, not_found=True, failure="")
            raise
        except ShoalError as error:
            outcome = replace(outcome, failure=_printable(str(error)))
            raise
        finally:
            with trio.CancelScope(deadline=trio.current_time() + 1.0, shield=True):
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


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)[:500]
