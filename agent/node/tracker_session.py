"""`TrackerSession`: this node's conversation with the tracker: announces as they are due, answers to whom they concern.

Everything the tracker knows of us can be told again: after a failed call, or where the tracker does not know us any
more (it was restarted), the next announce is a full one. At most one announce is under way. Events (a download
begins, a lease is done, a blob is whole) ask for one soon, and so does a connection that the tracker closed, as it does
when it ends; otherwise the tracker's interval decides.
"""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Protocol

import trio

from agent.content.digest import Digest
from agent.content.errors import DiskError, ShoalError, TrackerError
from agent.node.containment import contained
from agent.node.tracker_client import TrackerClient
from agent.telemetry.logs import get_log
from agent.telemetry.metrics import Metrics
from agent.wire.node_id import NodeId
from agent.wire.tracker_calls import Announce, AnnounceAnswer, FetchOrder, Suspicion, SwarmAnswer, SwarmReport

_SOON_SECONDS = 0.005  # events that come together are told together
_SPACING_SECONDS = 0.03  # on average
_SWARM_SECONDS = 0.001  # and this much for each swarm, up to a hundred: to tell of it costs both sides
_BURST_SECONDS = 0.06  # so much closer may calls be after a rest: the layers of a manifest follow it at once
_RETRY_SECONDS = 0.5
_LONGEST_RETRY_SECONDS = 5.0
_GOODBYE_SECONDS = 1.0
_CUT_LOOK_SECONDS = 1.0
_CUT_SPREAD_SECONDS = 2.0  # all nodes notice at the same time
_MAX_NEWS = 1000  # of swarms that nobody works on: hints, which a neighbour could flood us with

_log = get_log("shoal.tracker")


class Member(Protocol):
    """A swarm that this node works on."""

    def report(self, full: bool) -> SwarmReport:
        """What changed since the last report; everything if `full`."""

    def on_answer(self, answer: SwarmAnswer) -> None: ...


@dataclass(frozen=True, slots=True)
class Identity:
    """How the cluster knows this node. `address`: where its peer link is reached."""

    cluster: str
    node: NodeId
    name: str
    address: str
    zone: str
    rack: str


class TrackerSession:
    """`complete`: every whole blob here and its size, for full announces. `client` None: a node without a tracker."""

    def __init__(
        self,
        client: TrackerClient | None,
        identity: Identity,
        complete: Callable[[], Iterable[tuple[Digest, int]]],
        on_banned: Callable[[NodeId], None],
        metrics: Metrics,
        rng: random.Random,
    ) -> None:
        self.cluster_nodes = 1
        self.on_told_all: Callable[[], None] = lambda: None
        self.on_fetch: Callable[[tuple[FetchOrder, ...]], None] = lambda _: None
        self.silent_since: float | None = trio.current_time()
        self._client = client
        self._identity = identity
        self._complete = complete
        self._on_banned = on_banned
        self._metrics = metrics
        self._rng = rng
        self._members: dict[Digest, Member] = {}
        self._news: dict[Digest, SwarmReport] = {}
        self._suspicions: dict[Digest, list[Suspicion]] = {}
        self._full = True
        self._due = trio.CancelScope()
        self._soonest = self._paced_until = 0.0

    @property
    def is_configured(self) -> bool:
        return self._client is not None

    def join(self, digest: Digest, member: Member) -> None:
        self._members[digest] = member
        self.wake()

    def leave(self, digest: Digest, last: SwarmReport) -> None:
        """`last`: what remains to be told: complete, or left."""
        self._members.pop(digest, None)
        if self._client is not None:
            self._news[digest] = last
        self.wake()

    def tell(self, report: SwarmReport) -> None:
        """News of a swarm that nobody works on (a blob that is not here any more, one that came by itself)."""
        if self._client is None or report.digest in self._members:
            return
        if report.digest in self._news or len(self._news) < _MAX_NEWS:
            self._news[report.digest] = report
            self.wake()

    def suspect(self, digest: Digest, suspicion: Suspicion) -> None:
        if self._client is not None and len(self._suspicions.setdefault(digest, [])) < 100:
            self._suspicions[digest].append(suspicion)
            self.wake()

    def wake(self) -> None:
        """Announce soon."""
        at = max(trio.current_time() + _SOON_SECONDS, self._soonest)
        self._due.deadline = min(self._due.deadline, at)

    async def run(self) -> None:
        """Until cancelled; then the tracker is told that the node leaves."""
        if self._client is None:
            await trio.sleep_forever()
        retry = _RETRY_SECONDS
        try:
            while True:
                wait = await self._try_announce(self._client)
                if wait is None:
                    wait = retry * self._rng.uniform(0.5, 1.5)
                    retry = min(retry * 2, _LONGEST_RETRY_SECONDS)
                else:
                    retry = _RETRY_SECONDS
                if self.silent_since is not None:
                    self._soonest = trio.current_time() + wait
                with trio.CancelScope(deadline=trio.current_time() + wait) as self._due:
                    await self._wait_cut(self._client)
        finally:
            with trio.CancelScope(deadline=trio.current_time() + _GOODBYE_SECONDS, shield=True):
                await self._say_goodbye(self._client)

    async def _wait_cut(self, client: TrackerClient) -> None:
        """Until the tracker is to be called because it may be another one."""
        while True:
            await trio.sleep(_CUT_LOOK_SECONDS)
            if self.silent_since is None and client.is_cut():
                break
        await trio.sleep(self._rng.uniform(0.0, _CUT_SPREAD_SECONDS))

    async def _try_announce(self, client: TrackerClient) -> float | None:
        """How long to wait until the next; None after a failure."""
        with contained(self._metrics, "an announce"):
            try:
                return await self._announce(client)
            except (TrackerError, DiskError) as error:
                self._on_failure(error)
                return None
        self._full = True
        return None

    async def _announce(self, client: TrackerClient) -> float:
        """One call; how long to wait until the next. Raises TrackerError, DiskError."""
        announce = self._compose()
        self._paced_until = max(self._paced_until, trio.current_time()) + _spacing_seconds(announce)
        self._soonest = self._paced_until - _BURST_SECONDS
        self._due = trio.CancelScope()  # wake() from here on asks for the call after this one
        answer = await client.announce(announce)
        self._full = answer.resync
        self._on_reached(answer)
        for swarm in answer.swarms:
            member = self._members.get(swarm.digest)
            if member is not None:
                with contained(self._metrics, f"what the tracker says of {swarm.digest}"):
                    member.on_answer(swarm)
        for node in answer.banned:
            self._on_banned(node)
        if announce.full and not answer.resync:
            self.on_told_all()
        self.on_fetch(answer.fetch)
        woken = self._due.deadline - trio.current_time()
        return 0.0 if answer.resync else min(answer.interval_seconds, max(woken, 0.0))

    def _compose(self) -> Announce:
        full, news, suspicions = self._full, self._news, self._suspicions
        self._news, self._suspicions = {}, {}
        reports = {}
        for digest, member in self._members.items():
            with contained(self._metrics, f"a report on {digest}"):
                reports[digest] = member.report(full)
        if full:
            for digest, size in self._complete():
                reports.setdefault(digest, SwarmReport(digest, size, complete=True))
        reports |= {digest: report for digest, report in news.items() if digest not in reports or report.body}
        for digest, found in suspicions.items():
            known = reports.get(digest, SwarmReport(digest, None))
            reports[digest] = replace(known, suspicions=tuple(found))
        mine = self._identity
        return Announce(
            mine.cluster,
            mine.node,
            mine.name,
            mine.address,
            mine.zone,
            mine.rack,
            full,
            tuple(reports.values()),
        )

    def _on_reached(self, answer: AnnounceAnswer) -> None:
        self.cluster_nodes = max(answer.nodes, 1)
        if self.silent_since is not None:
            self.silent_since = None
            self._metrics.set_tracker_up(True)
            _log.info("tracker reached", nodes=answer.nodes)

    def _on_failure(self, error: ShoalError) -> None:
        self._full = True  # what that call told is told again
        if self.silent_since is None:
            self.silent_since = trio.current_time()
            self._metrics.set_tracker_up(False)
            _log.warning("tracker lost", reason=str(error))

    async def _say_goodbye(self, client: TrackerClient) -> None:
        mine = self._identity
        goodbye = Announce(
            mine.cluster, mine.node, mine.name, mine.address, mine.zone, mine.rack, False, (), leaving=True
        )
        try:
            await client.announce(goodbye)
        except TrackerError:
            pass
        await client.aclose()


def _spacing_seconds(announce: Announce) -> float:
    return _SPACING_SECONDS + min(len(announce.swarms), 100) * _SWARM_SECONDS
