"""Leases: disjoint, alive only as long as they make progress, and never a reason to starve."""

import random

import pytest

from agent.content.chunk_map import ChunkMap
from agent.content.digest import Digest
from tests.tracker.nodes import BLOB, CLUSTER, REGISTRY, SIZE, FakeNode
from tracker.directory.budget import BLOB_START, REGISTRY_START, Budget
from tracker.directory.events import EventKind
from tracker.directory.lease_run import run_chunks
from tracker.directory.lease_turn import must_wait
from tracker.directory.race import patience_seconds
from tracker.directory.tracker import Tracker


def span(node: FakeNode) -> set[int]:
    return {index for lease in node.leases.values() for index in range(lease.start, lease.stop)}


def test_two_nodes_read_different_chunks(tracker: Tracker) -> None:
    first, second = FakeNode(1), FakeNode(2)
    first.call(tracker, 0)
    second.call(tracker, 0)
    assert span(first)
    assert span(second)
    assert not span(first) & span(second)


def test_no_node_holds_more_leases_than_it_wants(tracker: Tracker) -> None:
    node = FakeNode(1, leases_wanted=2)
    node.call(tracker, 0)
    node.call(tracker, 0.1)
    assert len(node.leases) == 2


def test_a_blob_runs_no_more_leases_than_its_budget(tracker: Tracker) -> None:
    nodes = [FakeNode(n) for n in range(10)]
    for node in nodes:
        node.call(tracker, 0)
    assert sum(len(node.leases) for node in nodes) == BLOB_START


def test_of_a_few_large_chunks_the_first_is_read_alone() -> None:
    coarse = Tracker(CLUSTER, random.Random(1), cut=lambda size: ChunkMap(size, -(-size // 25)))
    nodes = [FakeNode(n) for n in range(10)]
    for node in nodes:
        node.call(coarse, 0)
    assert sum(len(node.leases) for node in nodes) == 1


@pytest.mark.parametrize(("seconds_beside_another", "expected"), [(2.0, 2), (1.0, 4)])
def test_more_follow_the_first_where_the_registry_is_faster_than_a_node(
    seconds_beside_another: float, expected: int
) -> None:
    budget = Budget()
    budget.begin_with_one(BLOB)
    for now, seconds in enumerate([1.0, seconds_beside_another, seconds_beside_another]):
        budget.on_completed_while_others_wait(BLOB, REGISTRY, 120_000_000, seconds, now)
    assert int(budget.blob(BLOB).limit) == expected


def test_what_a_peer_holds_is_not_leased(tracker: Tracker) -> None:
    seeder, node = FakeNode(1, complete=True), FakeNode(2)
    seeder.call(tracker, 0)
    node.call(tracker, 0)
    assert not node.leases


def test_the_chunks_of_a_dead_holder_are_leased_again(tracker: Tracker) -> None:
    holder, node = FakeNode(1), FakeNode(2, leases_wanted=4)
    holder.held = set(range(100))
    holder.call(tracker, 0)
    node.call(tracker, 0)
    assert not node.leases
    for tenth in range(1, 70):
        tracker.on_timer(tenth / 10)
        node.call(tracker, tenth / 10)
    assert span(node)


def test_progress_renews_a_lease_and_its_lack_ends_it(tracker: Tracker) -> None:
    node = FakeNode(1)
    node.call(tracker, 0)
    (lease,) = node.leases.values()
    node.read(lease, 1)
    node.call(tracker, 4)
    tracker.on_timer(8.9)
    assert len(tracker.directory.leases) == 1
    tracker.on_timer(9.1)
    assert len(tracker.directory.leases) == 0
    assert EventKind.LEASE_EXPIRED in [event.kind for event in tracker.take_events()]


def test_bytes_that_come_in_slowly_are_progress(tracker: Tracker) -> None:
    node = FakeNode(1)
    node.call(tracker, 0)
    for second in range(3, 30, 3):
        node.progress_bytes += 1000
        node.call(tracker, second)
        tracker.on_timer(second + 0.5)
    assert len(tracker.directory.leases) == 1


def test_a_lease_that_ran_out_goes_to_another_node_first(tracker: Tracker) -> None:
    slow, other = FakeNode(1), FakeNode(2, leases_wanted=4)
    slow.call(tracker, 0)
    (lost,) = slow.leases.values()
    for second in (2, 4, 5.01):
        tracker.on_timer(second)
        other.read_all()
        other.call(tracker, second)
    slow.call(tracker, 5.02)
    assert slow.swarm.ended_leases == (lost.lease,)
    other.call(tracker, 5.03)
    assert {lost.start} <= span(other) | other.held


def test_a_lone_node_whose_lease_ran_out_gets_another(tracker: Tracker) -> None:
    node = FakeNode(1)
    node.call(tracker, 0)
    node.call(tracker, 4)
    tracker.on_timer(5.1)
    node.call(tracker, 5.2)
    assert len(node.leases) == 1


def test_a_lease_that_is_not_listed_twice_is_given_up(tracker: Tracker) -> None:
    node, other = FakeNode(1), FakeNode(2)
    node.call(tracker, 0)
    node.leases.clear()
    node.refused = True
    node.call(tracker, 0.1)
    assert len(tracker.directory.leases) == 1
    node.call(tracker, 0.2)
    assert len(tracker.directory.leases) == 0
    other.call(tracker, 0.3)
    assert 0 in span(other)


def test_a_finished_lease_counts_as_held_even_before_the_chunk_set_says_so(tracker: Tracker) -> None:
    node, other = FakeNode(1), FakeNode(2, leases_wanted=10)
    node.call(tracker, 0)
    (lease,) = list(node.leases.values())
    node.read(lease)
    node.tells_have = False
    node.leases_wanted = 0
    node.call(tracker, 0.1)
    other.call(tracker, 0.2)
    assert not node.held & span(other)


def test_a_chunk_that_was_read_and_found_wrong_is_leased_again(tracker: Tracker) -> None:
    node = FakeNode(1)
    node.call(tracker, 0)
    (lease,) = list(node.leases.values())
    node.read(lease)
    read, node.held = node.held, set()
    node.call(tracker, 0.1)
    node.call(tracker, 0.2)
    assert read & span(node)


def test_a_node_that_the_registry_refuses_gets_no_lease(tracker: Tracker) -> None:
    node = FakeNode(1, refused=True)
    node.call(tracker, 0)
    assert not node.leases


def test_of_a_blob_of_unknown_size_one_node_reads_all(tracker: Tracker) -> None:
    first, second = FakeNode(1, size=None), FakeNode(2, size=None)
    first.call(tracker, 0)
    second.call(tracker, 0)
    (lease,) = first.leases.values()
    assert (lease.start, lease.stop) == (0, 0)
    assert not second.leases
    first.size = SIZE
    first.call(tracker, 0.1)
    second.call(tracker, 0.2)
    assert second.swarm.size == SIZE
    assert not second.leases
    assert len(tracker.directory.leases) == 1


def test_a_registry_without_ranges_is_read_by_one_node(tracker: Tracker) -> None:
    first, second = FakeNode(1, no_ranges=True, leases_wanted=4), FakeNode(2)
    first.call(tracker, 0)
    second.call(tracker, 0)
    assert span(first) == set(range(100))
    assert not second.leases


def test_patience_that_a_registry_asks_for_holds_for_everybody(tracker: Tracker) -> None:
    first, second = FakeNode(1, throttled_seconds=30.0, leases_wanted=0), FakeNode(2)
    first.call(tracker, 0)
    second.call(tracker, 1)
    assert second.swarm.pause_seconds == pytest.approx(29)
    assert not second.leases
    for third in range(1, 15):
        second.call(tracker, 2 * third)
    assert not second.leases
    second.call(tracker, 30.1)
    assert second.leases


def test_several_refusals_at_once_halve_the_budget_once(tracker: Tracker) -> None:
    for n in range(8):
        FakeNode(n, throttled_seconds=1.0, leases_wanted=0).call(tracker, n / 10)
    assert int(tracker.directory.budget.blob(BLOB).limit) == BLOB_START / 2


@pytest.mark.parametrize(("refusals", "expected"), [(0, 1), (1, 3), (2, 14), (3, 25)])
def test_a_registry_that_refuses_requests_is_asked_for_more_with_each_of_them(
    tracker: Tracker, refusals: int, expected: int
) -> None:
    refused, node = FakeNode(1, throttled_seconds=1.0, leases_wanted=0), FakeNode(2)
    for number in range(refusals):
        refused.call(tracker, 3.0 * number)
    node.call(tracker, 3.0 * refusals)
    assert len(span(node)) == expected


def test_a_refusal_is_forgotten_by_and_by() -> None:
    budget = Budget()
    assert budget.on_throttled(BLOB, REGISTRY, 1.0, 0.0)
    assert [budget.stretch(REGISTRY, now) for now in (0.0, 60.0, 600.0)] == [4.0, 2.0, 1.0]
    assert budget.stretch("mirror.example", 0.0) == 1.0


def test_the_budget_grows_while_nodes_wait_and_leases_complete(tracker: Tracker) -> None:
    nodes = [FakeNode(n) for n in range(30)]
    for tenth in range(20):
        for node in nodes:
            node.read_all()
            node.call(tracker, tenth / 10)
    assert tracker.directory.budget.blob(BLOB).limit > BLOB_START


def lease_times(seconds: list[float]) -> Budget:
    """A budget after leases of one size that took so long."""
    budget = Budget()
    for number, took in enumerate(seconds):
        budget.on_completed_while_others_wait(BLOB, REGISTRY, 1_000_000, took, float(number))
    return budget


def test_a_registry_that_is_fully_used_gets_no_more_leases_at_a_time() -> None:
    grown = lease_times([1.0] * 6).blob(BLOB).limit
    assert grown == BLOB_START + 6
    assert lease_times([1.0] * 6 + [2.0] * 20).blob(BLOB).limit == grown
    assert lease_times([1.0] * 6 + [8.0] * 30).blob(BLOB).limit == BLOB_START


def test_a_slow_holder_says_nothing_of_the_registry() -> None:
    assert lease_times([1.0, 10.0] * 8).blob(BLOB).limit == BLOB_START + 8


def test_all_layers_together_are_read_by_as_many_as_each_of_them_needs() -> None:
    limits = lease_times([1.0] * 6 + [8.0] * 60)
    assert limits.blob(BLOB).limit == 2
    assert limits.registry(REGISTRY).limit == 8


def test_a_lease_whose_holder_got_everything_from_elsewhere_says_nothing_of_the_registry(
    tracker: Tracker,
) -> None:
    holder, others = FakeNode(1), [FakeNode(n) for n in range(2, 6)]
    holder.call(tracker, 0)
    for node in others:
        node.call(tracker, 0.01)
    holder.complete = True
    holder.call(tracker, 0.02)
    budget = tracker.directory.budget
    assert not budget.blob(BLOB).fastest
    assert not budget.registry(REGISTRY).fastest


def test_what_is_read_of_a_small_blob_counts_by_its_bytes(tracker: Tracker) -> None:
    """Taken for a whole chunk in as short a time, it would make every lease after it look slow."""
    holder, others = FakeNode(1, size=None), [FakeNode(n, size=None) for n in range(2, 6)]
    for node in (holder, *others):
        node.call(tracker, 0)
    (lease,) = holder.leases
    holder.size, holder.next[lease] = 1500, 1
    holder.call(tracker, 0.03)
    assert list(tracker.directory.budget.registry(REGISTRY).fastest) == [1500]


def test_a_starving_node_races_a_stuck_lease_once(tracker: Tracker) -> None:
    stuck = FakeNode(1, leases_wanted=4)
    hungry = [FakeNode(2, starving=True), FakeNode(3, starving=True)]
    stuck.call(tracker, 0)
    stuck.call(tracker, 0)
    for node in hungry:
        node.held = set(range(100)) - span(stuck)
        node.call(tracker, 0.5)
        assert not node.leases
    for node in hungry:
        node.call(tracker, 1.3)
    assert span(hungry[0])
    assert span(hungry[0]) <= span(stuck)
    assert not span(hungry[0]) & span(hungry[1])


def test_a_lease_that_moves_is_not_raced(tracker: Tracker) -> None:
    mover, hungry = FakeNode(1, leases_wanted=4), FakeNode(2, starving=True)
    mover.call(tracker, 0)
    mover.call(tracker, 0)
    hungry.held = set(range(100)) - span(mover)
    mover.leases_wanted = 0
    for tenth in range(1, 15):
        for lease in list(mover.leases.values()):
            mover.read(lease, 1)
        mover.call(tracker, tenth / 10)
        hungry.call(tracker, tenth / 10)
    assert not hungry.leases


def test_who_starves_beside_a_holder_that_nobody_reaches_reads_the_registry(tracker: Tracker) -> None:
    holder, hungry = FakeNode(1, complete=True), FakeNode(2, starving=True)
    holder.call(tracker, 0)
    hungry.call(tracker, 0)
    hungry.call(tracker, patience_seconds(2, 0.0) - 0.1)
    assert not hungry.leases
    hungry.call(tracker, patience_seconds(2, 0.0) + 0.1)
    assert span(hungry)


def test_after_a_restart_of_the_tracker_running_leases_are_adopted(tracker: Tracker) -> None:
    nodes = [FakeNode(n) for n in range(int(BLOB_START))]
    for node in nodes:
        node.call(tracker, 0)
        node.read(next(iter(node.leases.values())), 2)
        node.call(tracker, 0.1)
    before = [dict(node.leases) for node in nodes]
    restarted = Tracker(CLUSTER, random.Random(8))
    for n, node in enumerate(nodes):
        node.call(restarted, 10 + n / 10)
    assert [node.leases for node in nodes] == before
    assert restarted.counters.leases_adopted == len(nodes)
    assert restarted.counters.leases_granted == 0


def test_after_a_restart_nothing_is_leased_until_the_others_could_tell_what_they_hold(
    tracker: Tracker,
) -> None:
    early, late = FakeNode(1), FakeNode(2)
    late.held = set(range(100))
    late.claims = {5: b"5" * 32}
    late.call(tracker, 0)
    early.call(tracker, 0)
    restarted = Tracker(CLUSTER, random.Random(8))
    early.call(restarted, 10)
    assert not early.leases
    late.call(restarted, 10.5)
    early.call(restarted, 20)
    assert not early.leases


def test_two_leases_of_former_times_that_overlap_are_not_both_adopted(tracker: Tracker) -> None:
    first, second = FakeNode(1), FakeNode(2)
    first.call(tracker, 0)
    second.leases, second.next = dict(first.leases), dict(first.next)
    other = Tracker(CLUSTER, random.Random(8))
    first.call(other, 1)
    second.call(other, 1)
    assert first.leases
    assert not second.leases


def test_a_small_blob_is_one_lease(tracker: Tracker) -> None:
    node = FakeNode(1, size=200 * 1024, leases_wanted=4)
    node.call(tracker, 0)
    assert [(lease.start, lease.stop) for lease in node.leases.values()] == [(0, 4)]


@pytest.mark.parametrize(("size", "most"), [(100_000, 4 * REGISTRY_START), (SIZE, REGISTRY_START)])
def test_of_small_blobs_more_are_read_at_a_time_than_of_large_ones(
    tracker: Tracker, size: int, most: float
) -> None:
    nodes = [FakeNode(n, digest=Digest.of(b"layer %d" % n), size=size) for n in range(1, 101)]
    for node in nodes:
        node.call(tracker, 0)
    assert sum(len(node.leases) for node in nodes) == most
    assert tracker.directory.budget.registry(REGISTRY).running == REGISTRY_START


@pytest.mark.parametrize(
    ("size", "sharers", "expected_bytes"),
    [(1 << 30, 1, 32 << 20), (64 << 20, 1, 16 << 20), (1 << 30, 8, 4 << 20), (1 << 30, 1000, 1 << 20)],
)
def test_runs_are_long_for_one_and_short_for_many(size: int, sharers: int, expected_bytes: int) -> None:
    chunks = ChunkMap.of(size)
    assert run_chunks(chunks, sharers, granted=10) * chunks.chunk_bytes == expected_bytes


def test_who_had_more_leases_waits_only_where_others_call_in_a_moment() -> None:
    assert must_wait(running=0, waiting_behind=100, interval_seconds=0.1)
    assert not must_wait(running=0, waiting_behind=1, interval_seconds=0.5)
    assert must_wait(running=1, waiting_behind=1, interval_seconds=0.5)
    assert not must_wait(running=1, waiting_behind=0, interval_seconds=0.5)


def test_a_dead_node_that_waited_does_not_hold_up_the_others_for_long(tracker: Tracker) -> None:
    nodes = [FakeNode(n) for n in range(12)]
    for node in nodes:
        node.call(tracker, 0)
    alive = [node for node in nodes if node.leases][:1]
    for tenth in range(1, 60):
        tracker.on_timer(tenth / 10)
        for node in alive:
            node.read_all()
            node.call(tracker, tenth / 10)
    assert len(alive[0].ever_leased) > 10


def test_different_registries_of_one_blob_have_budgets_of_their_own(tracker: Tracker) -> None:
    first, second = FakeNode(1, throttled_seconds=30.0), FakeNode(2, source="mirror.example")
    first.call(tracker, 0)
    second.call(tracker, 0.1)
    assert not first.leases
    assert second.leases
    assert tracker.directory.budget.registry(REGISTRY).running == 0


def test_who_calls_first_has_not_taken_the_blob_when_the_others_call(tracker: Tracker) -> None:
    nodes = [FakeNode(n, leases_wanted=4) for n in range(8)]
    for node in nodes:
        node.call(tracker, 0)
    assert [len(node.leases) for node in nodes] == [n < BLOB_START for n in range(8)]
    assert max(len(span(node)) for node in nodes) <= 4


def test_a_lease_of_everything_is_adopted_while_nobody_knows_the_size(tracker: Tracker) -> None:
    node = FakeNode(1, size=None)
    node.call(tracker, 0)
    restarted = Tracker(CLUSTER, random.Random(8))
    node.call(restarted, 1)
    assert len(node.leases) == restarted.counters.leases_adopted == 1
    node.size = SIZE
    node.call(restarted, 2)
    other = FakeNode(2)
    other.call(restarted, 9)
    assert not other.leases


def test_a_lease_that_ran_out_but_moves_after_all_is_taken_back(tracker: Tracker) -> None:
    node = FakeNode(1)
    node.call(tracker, 0)
    (first,) = node.leases.values()
    node.read(first, 1)  # all of it: the next one is larger
    node.call(tracker, 1)
    (lease,) = node.leases.values()
    node.call(tracker, 5)
    tracker.on_timer(6.1)
    node.read(lease, 1)
    node.call(tracker, 6.2)
    assert lease.lease in node.leases
    assert node.swarm.ended_leases == ()


def test_a_young_tracker_takes_who_is_in_the_middle_of_a_blob_for_a_survivor() -> None:
    restarted = Tracker(CLUSTER, random.Random(8))
    first, second = FakeNode(1), FakeNode(2)
    first.held, second.held = set(range(50)), set(range(50, 100))
    first.call(restarted, 10)
    assert not first.leases
    second.call(restarted, 10.5)
    first.call(restarted, 20)
    assert not first.leases


def test_the_wait_after_a_restart_has_an_end() -> None:
    restarted = Tracker(CLUSTER, random.Random(8))
    for n in range(100):
        node = FakeNode(n)
        node.held = {0}
        node.call(restarted, n / 10)
        if node.leases:
            break
    assert 5 < n / 10 < 7


def test_what_is_raced_is_not_leased_once_more_when_the_stuck_lease_runs_out(tracker: Tracker) -> None:
    stuck, racer, third = FakeNode(1), FakeNode(2, starving=True), FakeNode(3, leases_wanted=4)
    stuck.call(tracker, 0)
    racer.held = third.held = set(range(100)) - span(stuck)
    for tenth in range(10, 60):
        tracker.on_timer(tenth / 10)
        for lease in list(racer.leases.values())[: tenth % 20 == 0]:
            racer.read(lease, 1)
        racer.call(tracker, tenth / 10)
        third.call(tracker, tenth / 10)
    assert tracker.counters.leases_expired == 1
    assert racer.ever_leased
    assert not third.ever_leased


def test_one_node_of_a_small_swarm_is_fed_by_the_others_alone(tracker: Tracker) -> None:
    nodes = [FakeNode(n) for n in range(8)]
    for turn in range(200):
        for node in nodes:
            node.call(tracker, turn * 0.1)
            for lease in list(node.leases.values()):
                node.read(lease)
    assert sum(not node.ever_leased for node in nodes) == 1
    assert set().union(*(node.held for node in nodes)) == set(range(ChunkMap.of(SIZE).count))
