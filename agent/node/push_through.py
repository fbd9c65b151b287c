"""`PushThrough`: what was pushed to this cluster goes on to a registry, in the background, until it is there.

The queue is on the disk (store/push_queue.py). Of one repository of a registry one push is under way at a time, in the
order in which they came; what fails waits, longer each time, and lets others go before it. A registry that asks for
patience gets it from all. Of a tag the last push wins: an earlier one that waits is replaced, one that is under way is
broken off while it sends blobs, and a tag that another node has pushed since is left to that node.
"""

import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

import trio

from agent.content.digest import Digest
from agent.content.document import Descriptor
from agent.content.errors import ContentError, DiskError, InputError, ShoalError, Throttled
from agent.content.pushed import PushedName
from agent.content.redaction import redact
from agent.content.reference import CLUSTER_REGISTRY, Repository
from agent.images.local_image import local_image
from agent.images.push_upstream import push_upstream
from agent.images.pushing import (
    PushPlan,
    StoredSessions,
    mount_sources,
    plan_push,
    push_blobs,
    push_documents,
)
from agent.node.cluster_names import ClusterNames
from agent.node.containment import contained
from agent.node.hop import Hop
from agent.origin.credentials import CredentialStore
from agent.origin.origin import OriginOptions
from agent.origin.pusher import Outcome, Pusher, open_pusher
from agent.settings.settings import Settings
from agent.store.push_queue import QueuedPush
from agent.store.store import ImageRecord, Store
from agent.telemetry.logs import get_log
from agent.telemetry.metrics import Metrics

_AT_A_TIME = 4
_LONGEST_WAIT_SECONDS = 600.0
_LONGEST_PATIENCE_SECONDS = 3600.0  # that a registry may ask for
_DISK_SECONDS = 5.0

_log = get_log("shoal.push")

State = Literal["waiting", "pushing", "failed"]


@dataclass(slots=True)
class Running:
    """A push that is under way. A PushView."""

    queued: QueuedPush
    target: Repository
    metrics: Metrics
    total_bytes: int = 0
    sent: dict[Digest, int] = field(default_factory=dict)
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)

    @property
    def sent_bytes(self) -> int:
        return sum(self.sent.values())

    def on_sent(self, blob: Descriptor, sent_bytes: int) -> None:
        self.metrics.count_pushed_through(max(sent_bytes - self.sent.get(blob.digest, 0), 0))
        self.sent[blob.digest] = sent_bytes

    def on_blob(self, blob: Descriptor, _outcome: Outcome, _source: Repository | None) -> None:
        self.sent[blob.digest] = blob.size


@dataclass(frozen=True, slots=True)
class GoingOn:
    """One push and how far it is, for status. next_try_seconds: from now."""

    queued: QueuedPush
    target: Repository | None
    state: State
    sent_bytes: int
    total_bytes: int | None
    next_try_seconds: float | None


class PushThrough:
    def __init__(
        self,
        store: Store,
        names: ClusterNames,
        settings: Settings,
        credentials: CredentialStore,
        hop: Hop,
        metrics: Metrics,
        rng: random.Random,
        options: OriginOptions | None = None,
        now_unix: Callable[[], float] = time.time,
    ) -> None:
        self.first_wait_seconds = 2.0  # it doubles with each failure in a row
        self._store = store
        self._names = names
        self._settings = settings
        self._credentials = credentials
        self._hop = hop
        self._metrics = metrics
        self._rng = rng
        self._options = options
        self._now_unix = now_unix
        self._running: dict[Repository, Running] = {}
        self._patience: dict[str, float] = {}  # registry: seconds since the epoch
        self._woken = trio.Event()

    # ---- what comes in

    def on_kept(self, names: Iterable[PushedName]) -> None:
        """These are what the names stand for now; called, maybe in a thread, before they are on the disk as such."""
        known = list(names)
        mine = [one for one in known if self._names.is_mine(one) and self._target_of(one.repository)]
        others = [one for one in known if one not in mine]
        tagged = {(one.repository, one.digest) for one in mine if one.is_tag}
        mine = [one for one in mine if one.is_tag or (one.repository, one.digest) not in tagged]
        if mine:
            self._store.push_queue.put(mine, self._now_unix())
        if others and self._settings.push_through:
            self._store.push_queue.drop(others)

    def wake(self) -> None:
        """There may be something to do."""
        self._woken.set()

    # ---- what goes out

    async def run(self) -> None:
        """Until cancelled; what is under way then goes on at the next start."""
        async with trio.open_nursery() as nursery:
            while True:
                self._woken = trio.Event()
                try:
                    due_at = await self._start_due(nursery)
                except DiskError as error:
                    _log.warning("pushes that go on cannot be looked at", reason=str(error))
                    due_at = self._now_unix() + _DISK_SECONDS
                with trio.move_on_after(max(due_at - self._now_unix(), 0.0)):
                    await self._woken.wait()

    async def _start_due(self, nursery: trio.Nursery) -> float:
        """Start what is due, break off what was replaced; when to look again. Raises DiskError."""
        queued = await self._hop(self._store.push_queue.all)
        ids = {one.id for one in queued}
        for running in self._running.values():
            if running.queued.id not in ids:
                running.scope.cancel()
        now, look_at = self._now_unix(), float("inf")
        for one in queued:
            target = self._target_of(one.repository)
            if target is None:
                _log.info("push goes nowhere any more", image=_image(one))
                await self._hop(self._store.push_queue.done, one)
                continue
            at = self._due_at(one, target, now)
            if target in self._running or len(self._running) >= _AT_A_TIME:
                continue  # its end wakes us
            if at > now:
                look_at = min(look_at, at)
                continue
            running = self._running[target] = Running(one, target, self._metrics)
            nursery.start_soon(self._work, running)
        return look_at

    def _due_at(self, queued: QueuedPush, target: Repository | None, now: float) -> float:
        """When it is tried next. Later than anything is ever put off, it was put off before this machine's clock was
        set back: now."""
        patience = 0.0 if target is None else self._patience.get(target.registry, 0.0)
        return max(
            (at for at in (queued.next_at, patience) if at <= now + _LONGEST_PATIENCE_SECONDS), default=now
        )

    async def _work(self, running: Running) -> None:
        queued, error = running.queued, None
        outcome: Literal["done", "outdone", "failed"] = "failed"
        try:
            with contained(self._metrics, "a push that goes on"):
                try:
                    outcome = "done" if await self._push(running) else "outdone"
                except ShoalError as failure:
                    error = failure
            if outcome == "failed":
                await self._on_failed(running, error)
            else:
                await self._hop(self._store.push_queue.done, queued)
                _log.info(f"push through {outcome}", image=_image(queued), target=running.target)
        except DiskError as disk_error:  # it is in the queue still
            _log.warning("push through cannot be recorded", image=_image(queued), reason=str(disk_error))
            await trio.sleep(_DISK_SECONDS)
        finally:
            self._metrics.count_push_through(outcome)
            del self._running[running.target]
            self.wake()

    async def _push(self, running: Running) -> bool:
        """False where it is outdone. Raises ShoalError."""
        queued, target = running.queued, running.target
        if not await self._is_newest(queued):
            return False
        plan = await self._hop(self._plan, queued)
        running.total_bytes = sum(blob.size for blob in plan.blobs)
        sources = mount_sources(self._store, target, plan.blobs, self._place_of)
        async with open_pusher(
            push_upstream(self._settings, target.registry),
            target,
            self._credentials,
            sources=sorted(set(sources.values())),
            options=self._options,
            sessions=StoredSessions(self._store),
        ) as pusher:
            with running.scope:
                await push_blobs(self._store, plan, pusher, sources, running)
            if running.scope.cancelled_caught or not await self._is_newest(queued):
                return False
            await self._name(pusher, plan, queued)
            return True

    async def _name(self, pusher: Pusher, plan: PushPlan, queued: QueuedPush) -> None:
        if plan.left_out is not None:
            if ":" in queued.reference:
                raise ContentError(f"not all platforms of {plan.left_out} are here: pull them first")
            _log.warning("not all platforms are here", image=_image(queued), pushed=plan.root.digest)
        await push_documents(plan, pusher, queued.reference)

    async def _is_newest(self, queued: QueuedPush) -> bool:
        """Is it what its name stands for, to all that this node can ask? Raises DiskError."""
        if not await self._hop(self._store.push_queue.is_queued, queued):
            return False
        await self._names.wait_kept()  # it is queued before it is known
        record = (await self._names.find(_own(queued), queued.reference)).record
        return record is not None and not record.deleted and record.digest == queued.root.digest

    def _plan(self, queued: QueuedPush) -> PushPlan:
        """Raises ContentError where it is not here completely; DiskError."""
        root = queued.root
        record = ImageRecord(
            _own(queued),
            queued.reference,
            root.digest,
            root.media_type,
            root.size,
            complete=True,
            pulled_at=0,
        )
        return plan_push(self._store, local_image(self._store, record))

    async def _on_failed(self, running: Running, error: ShoalError | None) -> None:
        """Raises DiskError."""
        queued, now = running.queued, self._now_unix()
        reason = redact(str(error)) if error is not None else "an unexpected failure, see the log"
        wait = min(self.first_wait_seconds * 2.0 ** min(queued.failures, 20), _LONGEST_WAIT_SECONDS)
        wait *= self._rng.uniform(0.5, 1.0)
        if isinstance(error, Throttled):
            wait = max(wait, min(error.retry_after_seconds or 0.0, _LONGEST_PATIENCE_SECONDS))
            self._patience[running.target.registry] = now + wait
        await self._hop(self._store.push_queue.failed, queued, now + wait, reason)
        _log.warning(
            "push through failed",
            image=_image(queued),
            target=running.target,
            reason=reason,
            again_in=f"{wait:.0f} s",
        )

    # ---- telling

    def status(self) -> list[GoingOn]:
        """In the order in which they came. Raises DiskError."""
        running = {one.queued.id: one for one in self._running.values()}
        return [self._going_on(queued, running.get(queued.id)) for queued in self._store.push_queue.all()]

    def _going_on(self, queued: QueuedPush, running: Running | None) -> GoingOn:
        target = self._target_of(queued.repository)
        if running is not None:
            return GoingOn(queued, target, "pushing", running.sent_bytes, running.total_bytes, None)
        if not queued.failures:
            return GoingOn(queued, target, "waiting", 0, None, None)
        now = self._now_unix()
        return GoingOn(queued, target, "failed", 0, None, max(self._due_at(queued, target, now) - now, 0.0))

    # ---- where to

    def _target_of(self, name: str) -> Repository | None:
        try:
            return self._settings.push_target_of(name)
        except InputError as error:
            _log.warning("push cannot go on", repository=name, reason=str(error))
            return None

    def _place_of(self, repository: Repository) -> Repository | None:
        return self._target_of(repository.name) if repository.is_of_cluster else repository


def _own(queued: QueuedPush) -> Repository:
    return Repository(CLUSTER_REGISTRY, queued.repository)


def _image(queued: QueuedPush) -> str:
    return f"{queued.repository}{'@' if ':' in queued.reference else ':'}{queued.reference}"
