"""The directory under whatever nodes may do: call, read, die, restart. The tracker restarts, too."""

import random

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from agent.content.chunk_map import ChunkMap
from tests.tracker.nodes import BLOB, CLUSTER, FakeNode
from tracker.directory.lease import LeaseKind
from tracker.directory.swarm import Swarm
from tracker.directory.tracker import Tracker

SIZE = 12 * 64 * 1024
COUNT = ChunkMap.of(SIZE).count
NODES = 6
numbers = st.integers(0, NODES - 1)


class DirectoryMachine(RuleBasedStateMachine):
    """`nodes` are alive, whether the tracker knows or not; the dead are replaced by new ones of the same number."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.nodes: dict[int, FakeNode] = {}
        self.rng = random.Random(0)
        self.tracker = Tracker(CLUSTER, self.rng)

    @initialize(seed=st.integers(0, 1000))
    def start(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.restart_tracker()
        for number in range(NODES):
            self.nodes[number] = self._new(number)

    def _new(self, number: int) -> FakeNode:
        return FakeNode(number, size=SIZE, leases_wanted=1 + number % 3, peers_wanted=4)

    @rule(number=numbers)
    def call(self, number: int) -> None:
        self.nodes[number].call(self.tracker, self.now)

    @rule(number=numbers)
    def call_with_everything(self, number: int) -> None:
        self.nodes[number].call(self.tracker, self.now, full=True)

    @rule(number=numbers, chunks=st.integers(1, 3))
    def read(self, number: int, chunks: int) -> None:
        node = self.nodes[number]
        for lease in list(node.leases.values())[:1]:
            node.read(lease, chunks)

    @rule(number=numbers, other=numbers, chunks=st.integers(1, 4))
    def receive(self, number: int, other: int, chunks: int) -> None:
        new = sorted(self.nodes[other].held - self.nodes[number].held)
        self.nodes[number].receive(new[:chunks])

    @rule(number=numbers)
    def finish(self, number: int) -> None:
        node = self.nodes[number]
        node.complete = len(node.held) == COUNT

    @rule(number=numbers, starving=st.booleans(), refused=st.booleans())
    def change_mind(self, number: int, starving: bool, refused: bool) -> None:
        self.nodes[number].starving = starving
        self.nodes[number].refused = refused and number != 0

    @rule(number=numbers)
    def die(self, number: int) -> None:
        self.nodes[number] = self._new(number)

    @rule(number=numbers)
    def drop_leases(self, number: int) -> None:
        self.nodes[number].leases.clear()

    @rule(number=numbers)
    def leave(self, number: int) -> None:
        node = self.nodes[number]
        self.tracker.on_announce(node.announce(leaving=True), node.host, self.now)
        node.known = False
        node.leases.clear()

    @rule(number=numbers)
    def be_throttled(self, number: int) -> None:
        node = self.nodes[number]
        node.throttled_seconds = 2.0
        node.call(self.tracker, self.now)
        node.throttled_seconds = None

    @rule(seconds=st.sampled_from([0.05, 0.5, 1.5, 4.0, 6.0, 40.0]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.tracker.on_timer(self.now)

    @rule()
    def restart_tracker(self) -> None:
        self.tracker = Tracker(CLUSTER, self.rng)

    # --- what always holds -------------------------------------------------------------------------------

    @property
    def swarm(self) -> Swarm | None:
        return self.tracker.directory.swarms.get(BLOB)

    @invariant()
    def leases_of_a_kind_never_overlap(self) -> None:
        if self.swarm is None:
            assert len(self.tracker.directory.leases) == 0
            return
        for kind, told in ((LeaseKind.NORMAL, self.swarm.leased), (LeaseKind.RACE, self.swarm.raced)):
            union = 0
            for lease in self.swarm.leases.values():
                if lease.kind is kind:
                    assert not union & lease.bits
                    union |= lease.bits
            assert union == told

    @invariant()
    def every_chunk_is_held_leased_or_leasable(self) -> None:
        if self.swarm is not None and self.swarm.chunks is not None:
            swarm = self.swarm
            held = 0
            for member in swarm.members.values():
                held |= member.have
            assert swarm.held() == held
            assert held | swarm.leased | swarm.raced | swarm.free() == swarm.full
            assert not swarm.free() & (held | swarm.leased | swarm.raced)

    @invariant()
    def every_lease_has_a_live_holder_and_is_counted(self) -> None:
        directory = self.tracker.directory
        for lease in directory.leases.running():
            assert lease.member.leases[lease.lease] is lease
            assert lease.member.record is directory.nodes[lease.member.node]
        if self.swarm is not None:
            normal = [lease for lease in self.swarm.leases.values() if lease.kind is LeaseKind.NORMAL]
            assert directory.budget.blob(BLOB).running == len(normal)
            assert all(len(m.leases) <= max(m.leases_wanted, 3) for m in self.swarm.members.values())

    @invariant()
    def counts_agree_with_what_they_count(self) -> None:
        directory = self.tracker.directory
        assert directory.busy_nodes == sum(node.busy for node in directory.nodes.values())
        for node in directory.nodes.values():
            assert node.incomplete == sum(not member.complete for member in node.members.values())
        if self.swarm is not None:
            members = set(self.swarm.members.values())
            assert set(self.swarm.incomplete) == {member for member in members if not member.complete}
            assert set(self.swarm.complete) == {member for member in members if member.complete}
            assert sum(self.swarm.waiting.values()) == sum(member.waiting for member in members)
            assert all(count > 0 for count in self.swarm.waiting.values())

    def teardown(self) -> None:
        """However it came to this, nobody starves: all who call again come to an end."""
        if not self.nodes:
            return
        deadline = self.now + 120
        for node in self.nodes.values():
            node.starving = False
            node.refused = False
        while self.now < deadline and not all(node.complete for node in self.nodes.values()):
            self.now += 0.1
            self.tracker.on_timer(self.now)
            held = set().union(*(node.held for node in self.nodes.values()))
            for node in self.nodes.values():
                node.read_all()
                node.receive(held)
                node.complete = len(node.held) == COUNT
                node.call(self.tracker, self.now)
                self.leases_of_a_kind_never_overlap()
        assert all(node.complete for node in self.nodes.values())
        assert len(self.tracker.directory.leases) == 0


TestDirectory = DirectoryMachine.TestCase
TestDirectory.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
