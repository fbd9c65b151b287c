"""Nodes come, are silent, go; small contents travel in answers; everybody is told when to call again."""

import random
from dataclasses import replace

import pytest

from agent.content.digest import Digest
from agent.content.errors import InputError
from agent.wire.tracker_calls import MAX_INLINE_BYTES, Announce, Suspicion, SwarmReport
from tests.tracker.nodes import BLOB, SIZE, FakeNode, node_id
from tracker.directory import interval
from tracker.directory.events import EventKind
from tracker.directory.inline_bodies import InlineBodies
from tracker.directory.status import snapshot
from tracker.directory.tracker import Tracker


def kinds(tracker: Tracker) -> list[EventKind]:
    return [event.kind for event in tracker.take_events()]


def test_a_node_that_tells_only_changes_is_asked_for_everything_when_it_is_not_known(
    tracker: Tracker,
) -> None:
    seeder, node = FakeNode(1, complete=True), FakeNode(2, peers_wanted=10)
    seeder.call(tracker, 0)
    answer = tracker.on_announce(node.announce(full=False), node.host, 0)
    assert answer.resync
    assert [peer.node for peer in answer.swarms[0].peers] == [seeder.node]
    assert answer.swarms[0].leases == ()
    assert node_id(2) not in tracker.directory.nodes


def test_a_silent_node_is_lost_and_one_that_calls_is_not(tracker: Tracker) -> None:
    silent, caller = FakeNode(1), FakeNode(2)
    silent.call(tracker, 0)
    for tenth in range(80):
        tracker.on_timer(tenth / 10)
        caller.call(tracker, tenth / 10)
    assert set(tracker.directory.nodes) == {caller.node}
    assert kinds(tracker).count(EventKind.NODE_LOST) == 1


def test_a_node_at_rest_is_waited_for_three_of_its_intervals(tracker: Tracker) -> None:
    node = FakeNode(1, complete=True)
    seconds = node.call(tracker, 0).interval_seconds
    tracker.on_timer(2.9 * seconds)
    assert node.node in tracker.directory.nodes
    tracker.on_timer(3.1 * seconds)
    assert node.node not in tracker.directory.nodes


def test_nobody_is_taken_for_dead_because_the_tracker_was_held_up(tracker: Tracker) -> None:
    node = FakeNode(1)
    node.call(tracker, 0)
    tracker.expect_timer(0.25)
    tracker.on_timer(60)
    assert node.node in tracker.directory.nodes
    assert len(tracker.directory.leases) == 1
    tracker.expect_timer(66)
    tracker.on_timer(66)
    assert node.node not in tracker.directory.nodes


def test_who_leaves_frees_its_leases_at_once(tracker: Tracker) -> None:
    node, other = FakeNode(1, leases_wanted=4), FakeNode(2)
    node.call(tracker, 0)
    tracker.on_announce(node.announce(leaving=True), node.host, 0.1)
    other.call(tracker, 0.2)
    assert other.leases
    assert kinds(tracker)[:2] == [EventKind.NODE_JOINED, EventKind.NODE_LEFT]


def test_telling_everything_forgets_the_swarms_that_are_not_told(tracker: Tracker) -> None:
    node = FakeNode(1)
    node.call(tracker, 0)
    node.digest = Digest.of(b"another")
    node.call(tracker, 1, full=True)
    assert set(tracker.directory.swarms) == {node.digest}


def test_a_swarm_without_members_is_forgotten(tracker: Tracker) -> None:
    node = FakeNode(1)
    node.call(tracker, 0)
    tracker.on_timer(60)
    assert tracker.directory.swarms == {}
    assert tracker.directory.busy_nodes == 0


def test_a_size_that_differs_is_counted_and_answered_with_the_first_one(tracker: Tracker) -> None:
    first, second = FakeNode(1), FakeNode(2, size=SIZE + 1, complete=True)
    first.call(tracker, 0)
    second.call(tracker, 0)
    assert second.swarm.size == SIZE
    assert tracker.counters.size_conflicts == 1
    assert len(tracker.directory.swarms[BLOB].complete) == 0


def test_chunks_past_the_end_of_the_blob_count_for_nothing(tracker: Tracker) -> None:
    node = FakeNode(1, leases_wanted=0)
    node.held = {3, 100}
    node.call(tracker, 0)
    assert tracker.directory.swarms[BLOB].held() == 0
    assert tracker.counters.unusable_reports == 1


def test_a_blob_too_large_to_be_true_gets_no_chunk_sets(tracker: Tracker) -> None:
    node = FakeNode(1, size=1 << 45)
    node.call(tracker, 0)
    assert tracker.directory.swarms[BLOB].full == 0


def test_a_node_of_another_cluster_is_refused_with_a_reason(tracker: Tracker) -> None:
    call = FakeNode(1).announce()
    other = Announce("pond", call.node, call.name, call.address, "", "", True, ())
    with pytest.raises(InputError, match="serves the cluster 'reef', not 'pond'"):
        tracker.on_announce(other, "10.0.0.2", 0)


def test_an_address_that_is_not_the_callers_is_refused_and_leaves_no_trace(tracker: Tracker) -> None:
    node = FakeNode(1)
    with pytest.raises(InputError, match="not where the call comes from"):
        tracker.on_announce(node.announce(), "10.9.9.9", 0)
    assert tracker.directory.nodes == {}


# --- small contents --------------------------------------------------------------------------------------


def test_small_content_travels_in_the_answers_to_who_lacks_it(tracker: Tracker) -> None:
    body = b"{}" * 500
    holder = FakeNode(1, digest=Digest.of(body), size=len(body), complete=True, body=body)
    node = FakeNode(2, digest=holder.digest, size=None)
    holder.call(tracker, 0)
    node.call(tracker, 0)
    assert node.swarm.body == body
    assert node.swarm.size == len(body)
    assert not node.leases
    assert holder.swarm.body is None


def test_content_that_is_not_what_its_digest_names_is_not_passed_on(tracker: Tracker) -> None:
    liar = FakeNode(1, digest=Digest.of(b"true"), size=4, complete=True, body=b"lies")
    node = FakeNode(2, digest=liar.digest, size=4)
    liar.call(tracker, 0)
    node.call(tracker, 0)
    assert node.swarm.body is None
    assert tracker.counters.unusable_reports == 1


def test_of_small_contents_the_ones_least_used_make_room() -> None:
    bodies = InlineBodies(capacity_bytes=30)
    contents = [bytes([n]) * 10 for n in range(4)]
    digests = [Digest.of(content) for content in contents]
    for digest, content in zip(digests[:3], contents[:3], strict=True):
        bodies.put(digest, content)
    bodies.get(digests[0])
    bodies.put(digests[3], contents[3])
    assert [digest in bodies for digest in digests] == [True, False, True, True]
    assert bodies.bytes == 30


# --- when to call again ----------------------------------------------------------------------------------


def test_a_node_that_lacks_something_calls_often_and_a_complete_one_seldom(tracker: Tracker) -> None:
    busy, resting = FakeNode(1), FakeNode(2, complete=True)
    assert busy.call(tracker, 0).interval_seconds < 0.2
    assert resting.call(tracker, 0).interval_seconds >= 8


def test_a_node_that_waits_for_small_content_calls_soonest(tracker: Tracker) -> None:
    small = FakeNode(1, digest=Digest.of(b"small"), size=MAX_INLINE_BYTES, leases_wanted=0)
    unknown = FakeNode(2, digest=Digest.of(b"unknown"), size=None, leases_wanted=0)
    assert small.call(tracker, 0).interval_seconds <= 0.06
    assert unknown.call(tracker, 0).interval_seconds <= 0.06


@pytest.mark.parametrize("nodes", [1, 50, 500, 2000, 4000])
def test_one_core_bears_the_calls_of_a_cold_start(nodes: int) -> None:
    assert nodes / interval.busy_seconds(nodes) <= max(800, nodes / 0.1 if nodes <= 80 else 0)
    assert 0.1 <= interval.busy_seconds(nodes) <= 5


def test_calls_are_spread_by_chance() -> None:
    rng = random.Random(1)
    spread = [interval.spread(10, rng) for _ in range(1000)]
    assert 8 <= min(spread) < 8.2
    assert 11.8 < max(spread) <= 12


# --- status ----------------------------------------------------------------------------------------------


def test_the_snapshot_tells_of_nodes_swarms_leases_and_bans(tracker: Tracker) -> None:
    node = FakeNode(1, zone="a")
    node.call(tracker, 0)
    tracker.directory.bans.ban(node_id(9), "lied", 0)
    told = snapshot(tracker, 1.0)
    assert told["totals"]["nodes"] == told["totals"]["leases"] == told["totals"]["bans"] == 1
    assert told["nodes"][0]["name"] == "node-1"
    assert told["swarms"][0]["digest"] == str(BLOB)
    assert told["leases"][0]["kind"] == "normal"
    assert told["bans"][0]["reason"] == "lied"


def test_events_say_who_and_what_in_fields(tracker: Tracker) -> None:
    FakeNode(1).call(tracker, 0)
    (event,) = tracker.take_events()
    assert event.fields() == {"node": "000000000000", "detail": "node-1 at 10.0.0.2:7070"}
    assert tracker.take_events() == []


def test_who_only_tells_of_others_is_no_member_of_the_swarm(tracker: Tracker) -> None:
    nodes = [FakeNode(n) for n in range(3)]
    for node in nodes:
        node.call(tracker, 0)
    accuser = nodes[0].announce()
    word = SwarmReport(Digest.of(b"done"), None, suspicions=(Suspicion(nodes[1].node, 1, "wrong bytes"),))
    answer = tracker.on_announce(replace(accuser, full=False, swarms=(word,)), nodes[0].host, 1)
    assert answer.swarms == ()
    assert Digest.of(b"done") not in tracker.directory.swarms
    assert tracker.directory.bans.is_banned(nodes[1].node)


def test_an_answer_carries_no_more_small_contents_than_fit_and_the_rest_comes_next_time(
    tracker: Tracker,
) -> None:
    bodies = [bytes([n]) * MAX_INLINE_BYTES for n in range(100)]
    for body in bodies:
        assert tracker.directory.bodies.put(Digest.of(body), body)
    reports = [SwarmReport(Digest.of(body), len(body), leases_wanted=1) for body in bodies]
    node = FakeNode(1)
    missing = {report.digest for report in reports}
    for call in range(2):
        wanted = tuple(report for report in reports if report.digest in missing)
        answer = tracker.on_announce(replace(node.announce(full=True), swarms=wanted), node.host, call)
        assert sum(len(swarm.body or b"") for swarm in answer.swarms) <= 5 << 20
        assert not any(swarm.leases for swarm in answer.swarms)
        missing -= {swarm.digest for swarm in answer.swarms if swarm.body}
    assert not missing


def test_nobody_makes_another_node_leave(tracker: Tracker) -> None:
    victim = FakeNode(1)
    victim.call(tracker, 0)
    call = replace(victim.announce(leaving=True), address="10.9.9.9:1")
    tracker.on_announce(call, "10.9.9.9", 1)
    assert victim.node in tracker.directory.nodes


def test_a_call_that_tells_of_one_swarm_twice_harms_nobody(tracker: Tracker) -> None:
    node = FakeNode(1)
    report = node.report()
    twice = replace(node.announce(), swarms=(report, report, replace(report, left=True)))
    tracker.on_announce(twice, node.host, 0)
    assert tracker.directory.swarms == {}
    assert len(tracker.directory.leases) == 0
    assert tracker.directory.busy_nodes == 0
