"""`ClusterNames`: what the names of the cluster's own images stand for: this node's records and the tracker's as one.

Every record has a stamp, and of two the greater wins (agent.content.pushed), so it does not matter who tells whom
when. The tracker stamps what is pushed and is asked each time: a tag that was pushed elsewhere is known here at once.
While it is away this node goes on with what it knows, and tells it all when it is back. Whatever is learned is kept,
so that any node can tell a restarted tracker.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import trio

from agent.content.digest import Digest
from agent.content.errors import DiskError, NotFound, TrackerError
from agent.content.pushed import PushedName, page_of
from agent.content.reference import CLUSTER_REGISTRY, Repository
from agent.content.stored import Resolved
from agent.node.hop import Hop
from agent.node.tracker_client import TrackerClient
from agent.node.young_tracker import ASK_AGAIN_SECONDS, YoungTracker
from agent.store.store import Store
from agent.telemetry.logs import get_log
from agent.wire.node_id import NodeId, short
from agent.wire.push_calls import MAX_NAMES_A_CALL, Find, Names, NamesAnswer, Publish

_ABSENT_SECONDS = 2.0
_DELETED_SECONDS = 3600.0  # a repository whose last image was deleted is not an upstream's at once
_MAX_ABSENT = 10_000
_RETRY_SECONDS = 2.0
_TICK_SECONDS = 1e-6
_MAX_OUTCOMES = 20
_REVIEW_SECONDS = 1800.0
_GRACE_SECONDS = 3600.0  # what a tag has left stays so long: somebody may be in the middle of a pull
_FRESH_PIN_SECONDS = 600.0  # a copy is made before its tag is told

_log = get_log("shoal.push")


@dataclass(frozen=True, slots=True)
class Found:
    """record: the newest, maybe of a deleted name. stale: the tracker could not be asked."""

    record: PushedName | None
    stale: bool


@dataclass(frozen=True, slots=True)
class PushOutcome:
    """A push of a tag, and what came of it: for status. `by`: who outdid it, None where nobody did."""

    name: PushedName
    by: PushedName | None = None


class ClusterNames:
    def __init__(
        self,
        store: Store,
        tracker: TrackerClient | None,
        cluster: str,
        node: NodeId,
        hop: Hop,
        now_unix: Callable[[], float] = time.time,
    ) -> None:
        """`on_kept` hears, maybe in a thread, what names stand for from now on, before it is on the disk;
        `on_published` of what was pushed or deleted here, once it is.
        """
        self.outcomes: deque[PushOutcome] = deque(maxlen=_MAX_OUTCOMES)
        self.on_kept: Callable[[list[PushedName]], None] = lambda _: None
        self.on_published: Callable[[], None] = lambda: None
        self._store = store
        self._tracker = tracker
        self._cluster = cluster
        self._node = node
        self._hop = hop
        self._now_unix = now_unix
        self._absent: dict[Repository, float] = {}
        self._untold = trio.Event()
        self._keeping = threading.Lock()
        self._young = YoungTracker(has_records=store.pushed.has_any())

    # ---- asking

    async def find(self, repository: Repository, name: str) -> Found:
        """`name`: a tag, or a digest as text. Waits for a tracker that has just been restarted to hear of names.
        Raises DiskError."""
        own = self._store.pushed.find(repository.name, name)
        if self._tracker is None:
            return Found(own, stale=False)
        call = Find(self._cluster, self._node, repository.name, name)
        is_known = own is not None or self._is_linked(repository, name)
        try:
            answer = await self._tracker.find(call)
            while answer.record is None and not is_known and self._young.may_hear(answer.tracker_seconds):
                await trio.sleep(ASK_AGAIN_SECONDS)
                answer = await self._tracker.find(call)
        except TrackerError:
            return Found(own, stale=True)
        told = answer.record
        if told is None or not told.is_newer_than(own):
            return Found(own, stale=False)
        if own is not None and own.is_tag and own.writer == self._node != told.writer:
            self._on_outdone(own, told)
        await self._hop(self._keep, [told])
        return Found(told, stale=False)

    async def resolve(self, repository: Repository, tag: str) -> Resolved:
        """Raises NotFound, DiskError."""
        found = await self.find(repository, tag)
        if found.record is None or found.record.deleted:
            raise NotFound(f"{repository}:{tag} was not pushed to this cluster, or is deleted")
        return Resolved(found.record.descriptor, found.stale)

    async def exists(self, repository: Repository, *, now: bool) -> bool:
        """Has the cluster anything in this repository, or had it within the hour? `now`: not as of a moment ago."""
        since = self._now_unix() - _DELETED_SECONDS
        if self._store.knows(repository) or self._store.pushed.changed_since(repository.name, since):
            return True
        if self._tracker is None:
            return False
        if not now and self._absent.get(repository, 0.0) > trio.current_time():
            return False
        page = await self._page(repository.name, None, "", 0, waits=now)
        if page is None:
            return False
        if not page.exists:
            if len(self._absent) >= _MAX_ABSENT:
                self._absent.clear()
            self._absent[repository] = trio.current_time() + _ABSENT_SECONDS
        return page.exists

    async def check_document(self, repository: Repository, digest: Digest) -> int | None:
        """Is this manifest in this repository? Its size, where that is known. Raises NotFound, DiskError."""
        record = (await self.find(repository, str(digest))).record
        if record is not None and not record.deleted:
            return record.size
        if not self._store.is_linked(repository, digest):
            raise NotFound(f"{repository} has no manifest {digest}")
        return None

    async def tags(self, repository: Repository, last: str, limit: int) -> tuple[list[str], bool]:
        """A page of tags, and whether more follow. Raises NotFound, DiskError."""
        is_known = self._store.knows(repository)
        page = await self._page(repository.name, None, last, limit, waits=not is_known)
        if page is not None and page.exists:
            return list(page.names), page.more
        if not self._store.knows(repository):
            raise NotFound(f"the cluster has no repository {repository.name}")
        return page_of(self._own_tags(repository), last, limit)

    async def repositories(self, last: str, limit: int) -> tuple[list[str], bool]:
        page = await self._page("", None, last, limit)
        if page is not None and page.exists:
            return list(page.names), page.more
        return page_of(self._store.pushed.repositories(), last, limit)

    async def referrers(
        self, repository: Repository, subject: Digest, last: str, limit: int
    ) -> tuple[list[PushedName], bool]:
        """A page of the manifests that refer to `subject`, in the order of their digests. Raises DiskError."""
        page = await self._page(repository.name, subject, last, limit)
        if page is not None and page.exists:
            return list(page.records), page.more
        own = {one.name: one for one in self._store.pushed.referrers(repository.name, subject)}
        names, more = page_of(own, last, limit)
        return [own[name] for name in names if not own[name].is_tag], more

    # ---- telling

    async def publish(self, names: Iterable[PushedName]) -> None:
        """Pushed or deleted here, now (their `at` does not count). On the disk when this returns. Raises DiskError."""
        fresh = [replace(name, at=0.0, writer=self._node) for name in names]
        try:
            if self._tracker is None:
                raise TrackerError("there is none")
            stamped = list(
                (await self._tracker.publish(Publish(self._cluster, self._node, tuple(fresh)))).names
            )
        except TrackerError:
            stamped = [self._stamped(name) for name in fresh]
            self._untold.set()
        await self._hop(self._keep, stamped)
        self.on_published()
        for mine in stamped:
            self._absent.pop(Repository(CLUSTER_REGISTRY, mine.repository), None)
            if mine.is_tag:
                self.outcomes.append(PushOutcome(mine))
                said = "tag deleted" if mine.deleted else "tag pushed"
                _log.info(said, image=f"{mine.repository}:{mine.name}", digest=mine.digest)

    async def wait_kept(self) -> None:
        """Until what `on_kept` heard is on the disk."""

        def pass_by() -> None:
            with self._keeping:
                pass

        await self._hop(pass_by)

    def is_mine(self, name: PushedName) -> bool:
        """Is it there because of this node?"""
        return not name.deleted and name.writer == self._node

    def tell_all_soon(self) -> None:
        """The tracker does not know what this node knows."""
        self._untold.set()

    async def run(self) -> None:
        """Tells what the tracker does not know, until cancelled."""
        while True:
            await self._untold.wait()
            self._untold = trio.Event()
            try:
                await self._tell_all()
            except TrackerError:
                await trio.sleep(_RETRY_SECONDS)
                self._untold.set()

    async def _tell_all(self) -> None:
        if self._tracker is None:
            return
        known = await self._hop(self._store.pushed.all)
        for at in range(0, len(known), MAX_NAMES_A_CALL):
            told = known[at : at + MAX_NAMES_A_CALL]
            answer = await self._tracker.publish(Publish(self._cluster, self._node, tuple(told)))
            newer = [now for mine, now in zip(told, answer.names, strict=True) if now.stamp != mine.stamp]
            for mine, now in zip(told, answer.names, strict=True):
                if mine.is_tag and mine.writer == self._node and now.stamp != mine.stamp:
                    self._on_outdone(mine, now)
            if newer:
                await self._hop(self._keep, newer)

    async def run_reviews(self) -> None:
        """Asks by and by for the tags for whose sake something is kept here, until cancelled: others may have moved
        them."""
        while True:
            await trio.sleep(_REVIEW_SECONDS)
            try:
                await self.review()
            except DiskError as error:
                _log.warning("what is kept cannot be reviewed", reason=str(error))

    async def review(self) -> None:
        """Raises DiskError."""
        pins = await self._hop(self._store.pins)
        named = {_tag_of_reason(reason) for reasons in pins.values() for reason in reasons}
        for one in named:
            if one is None:
                continue
            found = await self.find(*one)
            if found.record is not None and not found.stale:
                await self._hop(self._let_go, found.record)

    def _on_outdone(self, mine: PushedName, winner: PushedName) -> None:
        image, by = f"{mine.repository}:{mine.name}", short(NodeId(winner.writer))
        self.outcomes.append(PushOutcome(mine, winner))
        _log.warning("push outdone", image=image, digest=mine.digest, by=by, now=winner.digest)

    # ---- inside

    async def _page(
        self, repository: str, subject: Digest | None, last: str, limit: int, *, waits: bool = False
    ) -> NamesAnswer | None:
        """`waits`: for a tracker that has just been restarted to hear of the repository."""
        if self._tracker is None:
            return None
        call = Names(self._cluster, self._node, repository, subject, last, limit)
        try:
            page = await self._tracker.names(call)
            while waits and not page.exists and self._young.may_hear(page.tracker_seconds):
                await trio.sleep(ASK_AGAIN_SECONDS)
                page = await self._tracker.names(call)
        except TrackerError:
            return None
        return page

    def _is_linked(self, repository: Repository, name: str) -> bool:
        return ":" in name and self._store.is_linked(repository, Digest.parse(name))

    def _own_tags(self, repository: Repository) -> list[str]:
        known = self._store.pushed.in_repository(repository.name)
        return [one.name for one in known if one.is_tag and not one.deleted]

    def _stamped(self, name: PushedName) -> PushedName:
        """By our own clock: the tracker is away."""
        known = self._store.pushed.find(name.repository, name.name)
        at = max(self._now_unix(), known.at + _TICK_SECONDS if known else 0.0)
        return replace(name, at=at)

    def _keep(self, names: list[PushedName]) -> None:
        """Record what is newer, and let the index say the same. The records come last, and with their fsync all of it
        is safe; after a kill in between the index is ahead, as if a command had named it (local_names.py).
        """
        with self._keeping:
            newer = [
                told
                for told in names
                if told.is_newer_than(self._store.pushed.find(told.repository, told.name))
            ]
            for told in newer:
                repository = Repository(CLUSTER_REGISTRY, told.repository)
                if told.is_tag:
                    self._keep_tag(repository, told)
                elif told.deleted:
                    self._forget(repository, told.digest)
            self.on_kept(newer)
            self._store.pushed.put(newer)

    def _keep_tag(self, repository: Repository, told: PushedName) -> None:
        if not told.deleted:
            if told.writer == self._node:
                self._store.pin(told.digest, pin_reason(told))
            self._store.put_tag(repository, told.name, told.descriptor, told.at)
        else:
            self._store.remove_tag(repository, told.name)
        self._let_go(told)

    def _let_go(self, told: PushedName) -> None:
        """Of what this node kept for the sake of a tag that has left it, after a grace."""
        before = max(told.at, self._now_unix() - _FRESH_PIN_SECONDS)
        for reason in (pin_reason(told), copy_reason(told.repository, told.name)):
            for pin in self._store.pins_of(reason):
                if (told.deleted or pin.digest != told.digest) and pin.pinned_at < before:
                    lately = f"{told.repository}:{told.name} until lately"
                    self._store.pin(pin.digest, lately, seconds=_GRACE_SECONDS)
                    self._store.unpin(pin.digest, reason)

    def _forget(self, repository: Repository, digest: Digest) -> None:
        for reason in (pin_reason_of_digest(repository.name), copy_reason(repository.name, str(digest))):
            self._store.unpin(digest, reason)
        self._store.unlink(repository, digest)


def pin_reason(name: PushedName) -> str:
    """Why this node keeps what it pushed under a tag."""
    return f"pushed as {name.repository}:{name.name}"


def pin_reason_of_digest(repository: str) -> str:
    return f"pushed to {repository} by digest"


def copy_reason(repository: str, name: str) -> str:
    """`name`: the tag that it is a copy for, or its digest."""
    return f"a copy of {repository}{'@' if ':' in name else ':'}{name}"


def _tag_of_reason(reason: str) -> tuple[Repository, str] | None:
    """The tag for whose sake something is pinned; None for any other reason."""
    for beginning in ("pushed as ", "a copy of "):
        name, _, tag = reason.removeprefix(beginning).rpartition(":")
        if reason.startswith(beginning) and name and "@" not in name:
            return Repository(CLUSTER_REGISTRY, name), tag
    return None
