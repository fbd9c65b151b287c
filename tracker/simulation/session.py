"""`Session`: a node's conversation with the real tracker; the counterpart of agent/node/tracker_session.py."""

from typing import TYPE_CHECKING

from agent.content.digest import Digest
from agent.wire.tracker_calls import Announce, AnnounceAnswer, Suspicion, SwarmReport

if TYPE_CHECKING:
    from tracker.simulation.node import Node

CLUSTER = "simulation"
_SOON_SECONDS = 0.005
_SPACING_SECONDS = 0.03
_RETRY_SECONDS = 0.5
_LONGEST_RETRY_SECONDS = 5.0


class Session:
    __slots__ = (
        "_calling",
        "_due",
        "_full",
        "_life",
        "_node",
        "_retry",
        "_soonest",
        "_suspicions",
        "_told_whole",
        "_woken",
        "cluster_nodes",
        "silent_since",
    )

    def __init__(self, node: "Node") -> None:
        self.cluster_nodes = 1
        self.silent_since: float | None = node.clock.now
        self._node = node
        self._life = node.life
        self._full = True
        self._due = float("inf")
        self._soonest = 0.0
        self._calling = False
        self._woken = False
        self._retry = _RETRY_SECONDS
        self._suspicions: dict[Digest, list[Suspicion]] = {}
        self._told_whole: set[Digest] = set()

    def wake(self) -> None:
        """Announce soon."""
        if self._calling:
            self._woken = True
        else:
            self._plan(max(self._node.clock.now + _SOON_SECONDS, self._soonest))

    def suspect(self, digest: Digest, suspicion: Suspicion) -> None:
        self._suspicions.setdefault(digest, []).append(suspicion)
        self.wake()

    def _plan(self, at: float) -> None:
        if at < self._due:
            self._due = at
            self._node.clock.at(at, self._announce, at)

    def _announce(self, at: float) -> None:
        node = self._node
        if at != self._due or self._calling or node.life != self._life or not node.alive:
            return
        self._due = float("inf")
        self._calling, self._woken = True, False
        node.cluster.call_tracker(self._compose(), self._on_answer, self._on_failure)

    def _compose(self) -> Announce:
        node, full = self._node, self._full
        suspicions, self._suspicions = self._suspicions, {}
        reports = []
        for digest, download in node.downloads.items():
            if download.whole_at is not None:
                if digest in self._told_whole and not full and digest not in suspicions:
                    continue
                self._told_whole.add(digest)
            report = download.report(full)
            if digest in suspicions:
                report = _with_suspicions(report, tuple(suspicions[digest][:100]))
            reports.append(report)
        return Announce(CLUSTER, node.id, node.name, node.address, node.zone, "", full, tuple(reports))

    def _on_answer(self, answer: AnnounceAnswer) -> None:
        node = self._node
        if node.life != self._life or not node.alive:
            return
        self._calling = False
        self._full = answer.resync
        self.silent_since = None
        self.cluster_nodes = max(answer.nodes, 1)
        self._retry = _RETRY_SECONDS
        for swarm in answer.swarms:
            node.downloads[swarm.digest].on_answer(swarm)
        for banned in answer.banned:
            node.shun(banned)
        now = node.clock.now
        self._soonest = now + _SPACING_SECONDS
        wait = 0.0 if answer.resync else answer.interval_seconds
        self._plan(min(now + wait, self._soonest) if self._woken else now + wait)

    def _on_failure(self) -> None:
        node = self._node
        if node.life != self._life or not node.alive:
            return
        now = node.clock.now
        self._calling = False
        self._full = True
        self._told_whole.clear()
        if self.silent_since is None:
            self.silent_since = now
        wait = self._retry * node.rng.uniform(0.5, 1.5)
        self._retry = min(self._retry * 2, _LONGEST_RETRY_SECONDS)
        self._soonest = now + wait
        self._plan(now + wait)


def _with_suspicions(report: SwarmReport, suspicions: tuple[Suspicion, ...]) -> SwarmReport:
    from dataclasses import replace

    return replace(report, suspicions=suspicions)
