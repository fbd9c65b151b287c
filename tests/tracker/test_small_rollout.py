"""A rollout in small: fake nodes, real tracker, a clock of our own."""

import heapq
import random
from collections import Counter

import pytest

from tests.tracker.nodes import CLUSTER, FakeNode
from tracker.directory.tracker import Tracker

READ_SECONDS = 0.05
CHUNKS = set(range(100))


def run_rollout(
    tracker: Tracker, nodes: list[FakeNode], rng: random.Random, until: float, start: float = 0.0
) -> float:
    """Nodes call when told, read a lease in READ_SECONDS a chunk and hear of every held chunk on their next call."""
    calls = [(start + rng.random() * 0.1, n) for n in range(len(nodes))]
    heapq.heapify(calls)
    now = start
    while calls and now < until:
        now, n = heapq.heappop(calls)
        timer = tracker.next_timer
        if timer is not None and timer <= now:
            tracker.on_timer(now)
        node = nodes[n]
        had_leases = bool(node.leases)
        node.read_all()
        others = rng.sample(nodes, 3)
        node.receive(set().union(*(other.held for other in others)))
        node.call(tracker, now)
        if node.held == CHUNKS and not node.complete:
            node.complete = True
            node.call(tracker, now)
        chunks = sum(lease.stop - lease.start for lease in node.leases.values())
        wait = READ_SECONDS * chunks if chunks or had_leases else node.call_at - now
        if not node.complete:
            heapq.heappush(calls, (now + max(wait, 0.01), n))
    return now


@pytest.mark.parametrize("seed", range(5))
def test_fifty_nodes_lease_each_of_a_hundred_chunks_exactly_once(seed: int) -> None:
    rng = random.Random(seed)
    tracker = Tracker(CLUSTER, rng)
    nodes = [FakeNode(n) for n in range(50)]
    ended = run_rollout(tracker, nodes, rng, until=60.0)
    leased = Counter(
        index for node in nodes for lease in node.ever_leased for index in range(lease.start, lease.stop)
    )
    assert all(node.complete for node in nodes), f"unfinished after {ended:.1f} s"
    assert leased == Counter(range(100))
    assert len(tracker.directory.leases) == 0


def test_first_copies_spread_over_many_nodes() -> None:
    rng = random.Random(1)
    tracker = Tracker(CLUSTER, rng)
    nodes = [FakeNode(n) for n in range(50)]
    run_rollout(tracker, nodes, rng, until=60.0)
    assert sum(bool(node.ever_leased) for node in nodes) >= 40


def test_a_lone_node_reads_everything_in_few_long_leases() -> None:
    rng = random.Random(1)
    tracker = Tracker(CLUSTER, rng)
    node = FakeNode(1, leases_wanted=4)
    for step in range(10):
        node.call(tracker, step * 0.1)
        node.read_all()
    assert node.held == CHUNKS
    assert len(node.ever_leased) <= 8
