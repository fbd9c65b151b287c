"""A `Swarm` under any sequence of events, sensible or not: what must hold at every moment."""

import random

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agent.content.chunk_map import ChunkMap
from agent.content.chunk_set import ChunkSet
from agent.swarm import actions as act
from agent.swarm.chunk_state import ChunkState
from agent.swarm.policy import SwarmPolicy
from agent.swarm.swarm import Swarm
from agent.wire.node_id import NodeId
from agent.wire.vouch import Vouch
from tests.agent.swarm.network import BLOB, PlainNotary, falsehood, node_id, truth

COUNT = 6
ME = node_id(1)
PEERS = [node_id(number) for number in range(2, 6)]
POLICY = SwarmPolicy()

peers = st.sampled_from(PEERS)
indices = st.integers(0, COUNT - 1)
wild_indices = st.integers(-1, COUNT + 3)
sets = st.sets(st.integers(0, COUNT + 2)).map(ChunkSet.of)
ticks = st.sampled_from([0.0, 0.001, 0.02, 0.5, 1.0, 2.0, 5.0])


class SwarmMachine(RuleBasedStateMachine):
    """`offers` and `sends` mirror what the neighbours owe us an answer to; `transfers` what they send us."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.swarm: Swarm
        self.offers: set[tuple[NodeId, int]] = set()
        self.sends: set[tuple[NodeId, int]] = set()
        self.transfers: dict[tuple[NodeId, int], bytes] = {}
        self.checking: list[tuple[NodeId, int, bytes]] = []
        self.present: set[NodeId] = set()
        self.wants: dict[NodeId, set[int]] = {}
        self.held: dict[int, bytes] = {}

    @initialize(have=sets, seed=st.integers(0, 3))
    def begin(self, have: ChunkSet, seed: int) -> None:
        have &= ChunkSet.full(COUNT)
        self.held = {index: truth(index) for index in have}
        notary = PlainNotary(ME)
        self.swarm = Swarm(BLOB, ChunkMap(COUNT * 100, 100), have, notary, random.Random(seed), POLICY)

    # ---- what the swarm asks for is checked and remembered

    def perform(self, todo: list[act.Action]) -> None:
        for action in todo:
            match action:
                case act.Offer(peer, index):
                    assert peer in self.present
                    assert index in self.wants[peer], "offered what the neighbour does not want"
                    assert (peer, index) not in self.offers | self.sends, "offered twice"
                    assert self.swarm.state_of(index) is ChunkState.HAVE
                    self.offers.add((peer, index))
                case act.Send(peer, index):
                    assert (peer, index) in self.offers
                    self.offers.discard((peer, index))
                    self.sends.add((peer, index))
                    self.wants[peer].discard(index)
                case act.Request(peer, index, expected):
                    assert (peer, index) == self.answering, "requested what was not offered"
                    others = [digest for (_, other), digest in self.transfers.items() if other == index]
                    assert len(others) <= 1
                    assert all(digest == expected for digest in others)
                    self.transfers[peer, index] = expected
                case act.Cancel(peer, index):
                    del self.transfers[peer, index]
                case act.Reject(peer, index, "gone"):
                    self.sends.remove((peer, index))
                case act.Forget(chunks):
                    for index in chunks:
                        self.held.pop(index, None)
                case act.Ban(node):
                    assert node != ME
                    self.gone(node)
                case act.Tell():
                    assert action.free >= 0
                    assert not action.add & action.have
                    assert not action.add & action.drop
        self.forget_expired()

    answering: tuple[NodeId, int] | None = None

    def gone(self, node: NodeId) -> None:
        self.present.discard(node)
        self.offers = {key for key in self.offers if key[0] != node}
        self.sends = {key for key in self.sends if key[0] != node}
        self.transfers = {key: digest for key, digest in self.transfers.items() if key[0] != node}

    def forget_expired(self) -> None:
        """Offers that were not answered in time count as never made."""
        alive = {(peer.node, index) for peer in self.swarm.peers for index in peer.offered}
        self.offers &= alive

    # ---- events

    @rule(node=peers, have=sets, want=sets, free=st.integers(0, 5))
    def interest(self, node: NodeId, have: ChunkSet, want: ChunkSet, free: int) -> None:
        if self.swarm.claims.is_distrusted(node):
            assert self.swarm.on_interest(node, have, want, free, self.now) == []
            return
        self.present.add(node)
        self.wants[node] = set(want - have)
        self.perform(self.swarm.on_interest(node, have, want, free, self.now))

    @rule(node=peers)
    def leave(self, node: NodeId) -> None:
        self.gone(node)
        self.perform(self.swarm.on_leave(node, self.now))

    @rule(node=peers, chunks=sets)
    def have(self, node: NodeId, chunks: ChunkSet) -> None:
        if node in self.present:
            self.wants[node] -= set(chunks)
        self.perform(self.swarm.on_have(node, chunks, self.now))

    @rule(node=peers, add=sets, drop=sets, free=st.integers(0, 5), urgent=sets)
    def want(self, node: NodeId, add: ChunkSet, drop: ChunkSet, free: int, urgent: ChunkSet) -> None:
        if node in self.present:
            self.wants[node] = self.wants[node] - set(drop) | set(add)
        self.perform(self.swarm.on_want(node, add, drop, free, urgent, self.now))

    @rule(node=peers, index=wild_indices)
    def request(self, node: NodeId, index: int) -> None:
        offered = (node, index) in self.offers
        todo = self.swarm.on_request(node, index, self.now)
        if not offered:
            assert isinstance(todo[0], act.Reject)
        self.perform(todo)

    @precondition(lambda self: self.offers)
    @rule(data=st.data(), reason=st.sampled_from(["busy", "taken", "have"]))
    def answer(self, data: st.DataObject, reason: str) -> None:
        node, index = data.draw(st.sampled_from(sorted(self.offers)))
        if data.draw(st.booleans()):
            self.perform(self.swarm.on_request(node, index, self.now))
        else:
            self.offers.discard((node, index))
            if reason != "busy":
                self.wants[node].discard(index)
            self.perform(self.swarm.on_reject(node, index, reason, self.now))

    @precondition(lambda self: self.sends)
    @rule(data=st.data())
    def sent(self, data: st.DataObject) -> None:
        node, index = data.draw(st.sampled_from(sorted(self.sends)))
        self.sends.discard((node, index))
        self.perform(self.swarm.on_sent(node, index, self.now))

    @rule(node=peers, index=wild_indices, by=peers, lie=st.booleans(), bare=st.booleans())
    def offer(self, node: NodeId, index: int, by: NodeId, lie: bool, bare: bool) -> None:
        digest = falsehood(index) if lie and index >= 0 else truth(max(index, 0))
        self.answering = node, index
        vouch = None if bare else Vouch(digest, by, by * 2)
        self.perform(self.swarm.on_offer(node, index, vouch, self.now))
        self.answering = None

    @precondition(lambda self: self.transfers)
    @rule(data=st.data())
    def arrived(self, data: st.DataObject) -> None:
        node, index = data.draw(st.sampled_from(sorted(self.transfers)))
        expected = self.transfers.pop((node, index))
        self.perform(self.swarm.on_arrived(node, index, self.now))
        self.checking.append((node, index, expected))
        assert self.swarm.state_of(index) is ChunkState.CHECKING

    @precondition(lambda self: self.checking)
    @rule(outcome=st.sampled_from(["verified", "verified", "verified", "corrupt", "unwritten"]))
    def checked(self, outcome: str) -> None:
        node, index, expected = self.checking.pop(0)
        if outcome == "corrupt":
            self.perform(self.swarm.on_corrupt(node, index, self.now))
        elif outcome == "unwritten":
            self.perform(self.swarm.on_unwritten(index, self.now))
        else:
            self.held.setdefault(index, expected)
            self.perform(self.swarm.on_verified(index, expected, node, self.now))

    @precondition(lambda self: self.transfers)
    @rule(data=st.data())
    def transfer_refused(self, data: st.DataObject) -> None:
        node, index = data.draw(st.sampled_from(sorted(self.transfers)))
        del self.transfers[node, index]
        self.perform(self.swarm.on_reject(node, index, "gone", self.now))

    @rule(chunks=sets)
    def reading(self, chunks: ChunkSet) -> None:
        self.perform(self.swarm.on_reading(chunks, self.now))

    @rule(chunks=sets)
    def read_ended(self, chunks: ChunkSet) -> None:
        self.perform(self.swarm.on_read_ended(chunks, self.now))

    @rule(index=indices)
    def read(self, index: int) -> None:
        self.held[index] = truth(index)
        self.perform(self.swarm.on_verified(index, truth(index), None, self.now))

    @rule(index=wild_indices)
    def claims(self, index: int) -> None:
        if index >= 0:
            self.perform(self.swarm.on_claims([(index, truth(index))], self.held.get, self.now))

    @rule()
    def whole(self) -> None:
        if self.swarm.is_complete:
            if all(self.held[index] == truth(index) for index in range(COUNT)):
                self.swarm.on_whole(truth(index) for index in range(COUNT))
            else:
                self.perform(self.swarm.on_mismatch(self.now))

    @rule(index=indices)
    def starving(self, index: int) -> None:
        self.perform(self.swarm.on_starving(index, self.now))

    @rule(passed=ticks)
    def wait(self, passed: float) -> None:
        self.now += passed
        self.fire()

    @rule()
    def wait_for_the_timer(self) -> None:
        due = self.swarm.next_timer(self.now)
        if due < float("inf"):
            self.now = max(self.now, due)
            self.fire()

    def fire(self) -> None:
        self.perform(self.swarm.on_timer(self.now))
        assert self.swarm.next_timer(self.now) > self.now, "a timer that is due again at once is a busy loop"

    # ---- what always holds

    @invariant()
    def every_chunk_is_in_exactly_one_state(self) -> None:
        one = self.swarm
        states = [one.state_of(index) for index in range(COUNT)]
        assert set(one.have) == {i for i, state in enumerate(states) if state is ChunkState.HAVE}
        assert set(one.want) == {i for i, state in enumerate(states) if state is ChunkState.MISSING}
        for index, state in enumerate(states):
            on_its_way = any(index in peer.receiving for peer in one.peers)
            assert not (on_its_way and state in (ChunkState.HAVE, ChunkState.MISSING, ChunkState.READING))
            if state is ChunkState.INCOMING:
                assert on_its_way, "a chunk is waited for that nobody sends"

    @invariant()
    def our_transfers_and_its_records_agree(self) -> None:
        receiving = {(peer.node, index) for peer in self.swarm.peers for index in peer.receiving}
        assert receiving == set(self.transfers)

    @invariant()
    def uploads_keep_to_their_slots(self) -> None:
        busy = sum(len(peer.offered) + len(peer.sending) for peer in self.swarm.peers)
        assert busy <= POLICY.uploads + POLICY.ahead
        assert {(peer.node, index) for peer in self.swarm.peers for index in peer.sending} == self.sends

    @invariant()
    def room_is_never_negative(self) -> None:
        assert 0 <= self.swarm.free <= POLICY.downloads + POLICY.ahead
        assert all(peer.free >= 0 for peer in self.swarm.peers)

    @invariant()
    def what_is_held_is_on_disk(self) -> None:
        assert set(self.swarm.have) <= set(self.held)


SwarmMachine.TestCase.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestSwarmMachine = SwarmMachine.TestCase
