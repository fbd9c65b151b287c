"""When a node reads the registry without a lease."""

import random
from dataclasses import replace

from agent.swarm.fallback import Fallback, Situation

NEVER, AT_ONCE = float("inf"), float("-inf")
QUIET = Situation(
    has_tracker=True,
    tracker_silent_since=100.0,
    cluster_nodes=1000,
    began_at=0.0,
    moved_at=90.0,
    peers_moved_at=90.0,
    receiving=False,
    reading=False,
)


def times(situation: Situation, nodes: int = 1000) -> list[float]:
    """When each node of a cluster would begin, the earliest first."""
    return sorted(Fallback(random.Random(node)).read_alone_at(situation) for node in range(nodes))


def test_nobody_starts_another_read_beside_one_under_way() -> None:
    assert set(times(replace(QUIET, reading=True))) == {NEVER}


def test_a_node_without_a_tracker_reads_at_once() -> None:
    assert set(times(replace(QUIET, has_tracker=False))) == {AT_ONCE}


def test_a_tracker_that_answers_decides_unless_nothing_comes_for_long() -> None:
    first, *_, last = times(replace(QUIET, tracker_silent_since=None))
    assert first >= 90.0 + 15
    assert last <= 90.0 + 30


def test_neighbours_that_bring_chunks_are_waited_for() -> None:
    assert times(replace(QUIET, peers_moved_at=500.0))[0] >= 501.0


def test_a_chunk_that_takes_long_on_its_way_from_a_neighbour_is_waited_for() -> None:
    """On a slow line one takes longer than our patience."""
    assert set(times(replace(QUIET, receiving=True))) == {NEVER}


def test_a_large_cluster_does_not_fall_upon_the_registry_when_its_tracker_goes_in_mid_rollout() -> None:
    """However long ago the download began: it stalls for everybody at the same moment."""
    begin = times(QUIET)
    assert begin[0] == 101.0
    assert sum(at < 105.0 for at in begin) < 250
    later = times(replace(QUIET, peers_moved_at=500.0))
    assert sum(at < 505.0 for at in later) < 250


def test_a_small_cluster_waits_a_moment_only() -> None:
    assert times(replace(QUIET, cluster_nodes=3))[-1] <= 101.2
