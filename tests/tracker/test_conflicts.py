"""Claims about chunks: heard by everybody, and settled at the registry where they differ. Liars are banned."""

import random

from agent.wire.tracker_calls import Suspicion
from tests.tracker.nodes import CLUSTER, SIZE, FakeNode, node_id, true_chunk
from tracker.directory.bans import BAN_SECONDS
from tracker.directory.claims import ClaimLog
from tracker.directory.events import EventKind
from tracker.directory.tracker import Tracker

LIE = b"\x66" * 32


def disputed(tracker: Tracker) -> tuple[FakeNode, FakeNode]:
    """A liar and an honest node that said different things of chunk 3."""
    liar, honest = FakeNode(1, leases_wanted=0), FakeNode(2, leases_wanted=0)
    liar.held = honest.held = set(range(100))
    liar.claims, honest.claims = {3: LIE}, {3: true_chunk(3)}
    liar.call(tracker, 0)
    honest.call(tracker, 0)
    return liar, honest


def test_a_claim_reaches_everybody_once(tracker: Tracker) -> None:
    teller, listener = FakeNode(1, leases_wanted=0), FakeNode(2, leases_wanted=0)
    teller.claims = {3: true_chunk(3), 7: true_chunk(7)}
    teller.call(tracker, 0)
    listener.call(tracker, 0)
    assert listener.heard == {3: true_chunk(3), 7: true_chunk(7)}
    listener.call(tracker, 0.1)
    assert listener.swarm.claims == ()


def test_a_third_node_reads_a_disputed_chunk_and_the_liar_is_banned(tracker: Tracker) -> None:
    liar, honest = disputed(tracker)
    arbiter = FakeNode(3)
    arbiter.held = set(range(100))
    arbiter.call(tracker, 0.1)
    (lease,) = arbiter.leases.values()
    assert (lease.start, lease.stop, lease.check) == (3, 4, True)
    arbiter.read_all()
    arbiter.claims = {3: true_chunk(3)}
    arbiter.call(tracker, 0.2)
    honest.call(tracker, 0.3)
    assert honest.heard[3] == true_chunk(3)
    assert honest.answer is not None
    assert honest.answer.banned == (liar.node,)
    kinds = [event.kind for event in tracker.take_events()]
    assert EventKind.CONFLICT_SETTLED in kinds
    assert EventKind.NODE_BANNED in kinds


def test_a_disputant_does_not_arbitrate_while_a_third_node_may(tracker: Tracker) -> None:
    liar, _ = disputed(tracker)
    FakeNode(3, leases_wanted=0).call(tracker, 0.1)
    liar.leases_wanted = 1
    liar.call(tracker, 0.2)
    assert not liar.leases


def test_of_two_nodes_alone_one_reads_again_and_merely_repeating_is_not_enough(tracker: Tracker) -> None:
    liar, honest = disputed(tracker)
    honest.leases_wanted = 1
    honest.call(tracker, 0.1)
    assert honest.leases
    honest.call(tracker, 0.2)  # says again what it said
    assert not tracker.directory.bans.is_banned(liar.node)
    honest.read_all()
    honest.call(tracker, 0.3)
    assert tracker.directory.bans.is_banned(liar.node)
    assert not tracker.directory.bans.is_banned(honest.node)


def test_an_arbiter_that_nobody_agrees_with_does_not_decide_alone(tracker: Tracker) -> None:
    liar, honest = disputed(tracker)
    wrong, right = FakeNode(3), FakeNode(4)
    for arbiter in (wrong, right):
        arbiter.held = set(range(100))
    wrong.call(tracker, 0.1)
    right.call(tracker, 0.1)
    assert not right.leases
    wrong.read_all()
    wrong.claims = {3: b"\x77" * 32}
    wrong.call(tracker, 0.2)
    right.call(tracker, 0.3)
    right.read_all()
    right.claims = {3: true_chunk(3)}
    right.call(tracker, 0.4)
    banned = [node for node in (liar, honest, wrong, right) if tracker.directory.bans.is_banned(node.node)]
    assert banned == [liar, wrong]


def test_an_arbiter_that_does_not_come_back_is_replaced(tracker: Tracker) -> None:
    disputed(tracker)
    lost, next_one = FakeNode(3), FakeNode(4)
    for arbiter in (lost, next_one):
        arbiter.held = set(range(100))
        arbiter.call(tracker, 0.1)
    assert lost.leases
    for second in (2, 4, 5.2):
        tracker.on_timer(second)
        next_one.call(tracker, second)
    assert next_one.leases


def test_what_only_a_banned_node_said_is_forgotten(tracker: Tracker) -> None:
    liar, honest = disputed(tracker)
    liar.claims[9] = LIE
    liar.call(tracker, 0.05)
    arbiter = FakeNode(3)
    arbiter.held = set(range(100))
    arbiter.call(tracker, 0.1)
    arbiter.read_all()
    arbiter.claims = {3: true_chunk(3)}
    arbiter.call(tracker, 0.2)
    honest.claims[9] = true_chunk(9)
    honest.call(tracker, 0.3)
    fresh = FakeNode(5)
    fresh.call(tracker, 0.4)
    assert fresh.heard[9] == true_chunk(9)


def test_a_banned_node_is_told_so_and_gets_nothing_until_the_ban_is_over(tracker: Tracker) -> None:
    suspect = FakeNode(1)
    suspect.call(tracker, 0)
    accusers = [FakeNode(n, peers_wanted=10) for n in (2, 3, 4)]
    for accuser in accusers:
        accuser.call(tracker, 0)
    for accuser in accusers[:2]:
        accuser.suspicions = [Suspicion(suspect.node, 3, "wrong bytes")]
        assert not tracker.directory.bans.is_banned(suspect.node)
        accuser.call(tracker, 0.1)
    answer = suspect.call(tracker, 0.2)
    assert (answer.swarms, answer.banned) == ((), (suspect.node,))
    accusers[2].call(tracker, 0.3)
    assert suspect.node not in {peer.node for peer in accusers[2].swarm.peers}
    tracker.on_timer(0.1 + BAN_SECONDS + 1)
    assert suspect.call(tracker, BAN_SECONDS + 2, full=True).swarms


def test_one_accuser_alone_bans_nobody_in_a_larger_cluster(tracker: Tracker) -> None:
    nodes = [FakeNode(n) for n in range(4)]
    for node in nodes:
        node.call(tracker, 0)
    nodes[0].suspicions = [Suspicion(nodes[1].node, None, "slow")] * 5
    nodes[0].call(tracker, 1)
    nodes[0].call(tracker, 2)
    assert not tracker.directory.bans.is_banned(nodes[1].node)


def test_one_accuser_is_enough_among_three_nodes(tracker: Tracker) -> None:
    nodes = [FakeNode(n) for n in range(3)]
    for node in nodes:
        node.call(tracker, 0)
    nodes[0].suspicions = [Suspicion(nodes[1].node, 5, "wrong bytes")]
    nodes[0].call(tracker, 1)
    assert tracker.directory.bans.is_banned(nodes[1].node)


def test_a_cursor_of_a_former_tracker_starts_afresh() -> None:
    old, new = ClaimLog(11), ClaimLog(12)
    for index in range(5):
        old.tell(index, true_chunk(index), node_id(1), 0)
    _, cursor = old.since(0)
    for index in range(7):
        new.tell(index, true_chunk(index), node_id(1), 0)
    news, after = new.since(cursor)
    assert [claim.index for claim in news] == list(range(7))
    assert new.since(after)[0] == ()


def test_after_a_restart_the_nodes_tell_their_claims_again(tracker: Tracker) -> None:
    node = FakeNode(1)
    node.call(tracker, 0)
    node.read_all()
    node.call(tracker, 0.1)
    restarted = Tracker(CLUSTER, random.Random(9))
    node.call(restarted, 5)
    fresh = FakeNode(2)
    fresh.call(restarted, 5.1)
    assert fresh.heard == node.claims
    assert fresh.swarm.size == SIZE
