"""`Cluster`: a scenario brought to life: nodes, the real tracker, a registry, and what befalls them."""

import random
from collections.abc import Callable

from agent.wire.node_id import NodeId
from agent.wire.tracker_calls import Announce, AnnounceAnswer
from tracker.directory.tracker import Tracker
from tracker.simulation.blob import Blob
from tracker.simulation.bounds import fluid_bound_seconds
from tracker.simulation.clock import Clock
from tracker.simulation.deaths import deaths_of, victim_count
from tracker.simulation.download import Download
from tracker.simulation.flows import Flows
from tracker.simulation.history import History
from tracker.simulation.link import Link
from tracker.simulation.node import Node
from tracker.simulation.registry import Registry
from tracker.simulation.scenario import Scenario
from tracker.simulation.session import CLUSTER

_CALL_TIMEOUT_SECONDS = 1.0
_LONGEST = 50.0  # times the bound: whoever is not done by then is stuck
_LONGEST_EXTRA_SECONDS = 120.0


class Cluster:
    """check_rate: bytes a second at which a node checks and writes a chunk (one thread; BLAKE3 and pwrite alone do more
    than twice that)."""

    check_rate = 2e9

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.clock = Clock()
        self.rng = random.Random(scenario.seed)
        self.flows = Flows(self.clock)
        self.registry = Registry(self.clock, scenario.registry)
        self.blobs = _blobs(scenario)
        self.history = History(scenario.nodes, sum(blob.chunks.count for blob in self.blobs))
        self.bound_seconds = fluid_bound_seconds(scenario)
        self.tracker = self._new_tracker()
        zones = scenario.zones
        self.latencies = {scenario.latency_seconds} | ({zones.latency_seconds} if zones.zones > 1 else set())
        self.tracker_calls = 0
        self.tracker_lives = 1
        self.bans = 0
        self.cross_zone_bytes = 0.0
        self.read_for_themselves_bytes = 0.0  # by hostile nodes, which nobody gives anything
        self._tracker_free_at = 0.0
        self.nodes: dict[NodeId, Node] = {}
        for number in range(scenario.nodes):
            node = self._new_node(number)
            self.nodes[node.id] = node
        self._unfinished = 0
        self._to_come = 0
        self._plan_hardship()

    # ---- running

    def run(self) -> None:
        self.clock.run(
            self._goes_on, self.bound_seconds * _LONGEST + self.scenario.join_seconds + _LONGEST_EXTRA_SECONDS
        )

    def _goes_on(self) -> bool:
        return self._unfinished > 0

    def on_node_whole(self, node: Node) -> None:
        if not node.is_hostile:
            self._unfinished -= 1

    def on_node_failed(self, node: Node) -> None:
        """Its pull has failed, with an error that says why."""
        self._unfinished -= not node.is_hostile

    def on_verified(self, node: Node, index: int) -> None:
        node.chunks_held += 1
        self.history.on_chunk(self.clock.now, index)

    def on_peer_bytes(self, sender: Node, receiver: Node, count: float) -> None:
        if sender.zone != receiver.zone:
            self.cross_zone_bytes += count

    # ---- what nodes need of the world

    def latency(self, one: Node, two: Node) -> float:
        zones = self.scenario.zones
        return self.scenario.latency_seconds if one.zone == two.zone else zones.latency_seconds

    def new_link(self, one: Download, two: Download) -> Link:
        scenario = self.scenario
        crosses = one.node.zone != two.node.zone
        rate = scenario.zones.connection_rate if crosses else float("inf")
        return Link(one, two, self.latency(one.node, two.node), rate, scenario.hardship.loss, self.rng)

    def is_blocked(self, one: Node, two: Node) -> bool:
        """A partition; and every other node of a starved zone cannot reach the other zones, its first importer among
        them."""
        if self._is_parted and _is_apart(one) != _is_apart(two):
            return True
        if not self.scenario.zones.starved or one.zone == two.zone:
            return False
        zones = self.scenario.zones.zones
        last = f"zone-{zones - 1}"
        return any(node.zone == last and (node.number // zones % 2 == 0) for node in (one, two))

    def call_tracker(
        self, call: Announce, answer: Callable[[AnnounceAnswer], None], failed: Callable[[], None]
    ) -> None:
        self.tracker_calls += 1
        if self._is_parted and _is_apart(self.nodes[call.node]):
            self.clock.after(_CALL_TIMEOUT_SECONDS, failed)
        else:
            self.clock.after(self.scenario.latency_seconds, self._on_call, call, answer, failed)

    def _on_call(
        self, call: Announce, answer: Callable[[AnnounceAnswer], None], failed: Callable[[], None]
    ) -> None:
        now, off = self.clock.now, self.scenario.hardship.tracker_off
        if off is not None and now >= off[0]:
            if now < off[1]:
                self.clock.after(_CALL_TIMEOUT_SECONDS, failed)
                return
            if self.tracker_lives == 1:
                self.tracker = self._new_tracker()  # it has forgotten everything
                self.tracker_lives = 2
        timer = self.tracker.next_timer
        if timer is not None and timer <= now:
            self.tracker.on_timer(now)
        result = self.tracker.on_announce(call, "", now)
        self._tracker_free_at = max(self._tracker_free_at, now) + self.scenario.tracker_seconds
        self.clock.at(self._tracker_free_at + self.scenario.latency_seconds, answer, result)

    # ---- a partition

    @property
    def _is_parted(self) -> bool:
        parted = self.scenario.hardship.parted
        return parted is not None and parted[0] <= self.clock.now < parted[1]

    def _part(self) -> None:
        for node in self.nodes.values():
            if _is_apart(node):
                node.part([other for other in self.nodes.values() if not _is_apart(other)])

    # ---- building

    def _new_tracker(self) -> Tracker:
        return Tracker(CLUSTER, random.Random(self.rng.getrandbits(64)), cut=self.scenario.cut)

    def _new_node(self, number: int) -> Node:
        scenario = self.scenario
        up, down = scenario.up, scenario.down
        if self.rng.random() < scenario.hardship.slow:
            up, down = up / scenario.hardship.slow_factor, down / scenario.hardship.slow_factor
        return Node(self, number, self._zone(number), up, down)

    def _zone(self, number: int) -> str:
        zones = self.scenario.zones
        if zones.zones <= 1:
            return ""
        if zones.first_share:
            first = round(self.scenario.nodes * zones.first_share)
            return "zone-0" if number < first else f"zone-{1 + number % (zones.zones - 1)}"
        return f"zone-{number % zones.zones}"

    def _plan_hardship(self) -> None:
        hardship, rng = self.scenario.hardship, self.rng
        everyone = list(self.nodes.values())
        pool = rng.sample(everyone, len(everyone))

        def take(count: int) -> list[Node]:
            return [pool.pop() for _ in range(min(count, len(pool)))]

        def share(of_all: float) -> int:
            return round(of_all * len(everyone))

        for node in take(share(hardship.corrupt)):
            node.is_false = True
        for node in take(share(hardship.boastful)):
            node.is_boastful = node.is_false = True
        for node in take(share(hardship.mute)):
            node.is_mute = True
        dying = take(victim_count(len(everyone), hardship.dying))
        late = take(share(hardship.late))
        for node in take(share(hardship.full)):
            self.clock.at(self.bound_seconds / 2, node.fill_disk)
        if hardship.parted is not None:
            self.clock.at(hardship.parted[0], self._part)
        for node in everyone:
            at = rng.random() * self.scenario.join_seconds
            if node in late:
                at = self.bound_seconds * (0.5 + 0.3 * rng.random())
            self.clock.at(at, node.start, self.blobs)
            self._unfinished += not node.is_hostile
        victims = [node.number for node in dying]
        for death in deaths_of(victims, self.bound_seconds, hardship.away_seconds, rng):
            self.clock.at(death.at_seconds, self._kill, everyone[death.node], death.back_seconds)

    def _kill(self, node: Node, back_seconds: float | None) -> None:
        node.die()
        if back_seconds is not None:
            self.clock.at(back_seconds, node.start, self.blobs)
        elif node.whole_at is None:
            self._unfinished -= 1


def _is_apart(node: Node) -> bool:
    return node.number % 4 == 3


def _blobs(scenario: Scenario) -> tuple[Blob, ...]:
    blobs: list[Blob] = []
    first = 0
    for number, size in enumerate(scenario.layers):
        blobs.append(Blob.numbered(number, scenario.cut(size), first))
        first += blobs[-1].chunks.count
    return tuple(blobs)
