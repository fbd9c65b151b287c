"""What is read must be passed on: what stays with its reader is read once more, by one node."""

import random

import pytest

from tests.tracker.nodes import CLUSTER, FakeNode
from tracker.directory.tracker import Tracker

SECONDS = 30  # every tenth of a second a call


@pytest.fixture
def tracker() -> Tracker:
    return Tracker(CLUSTER, random.Random(1))


def run(tracker: Tracker, nodes: list[FakeNode], generous: list[FakeNode]) -> None:
    """What the generous ones have, everybody has at the next call."""
    for tenth in range(SECONDS * 10):
        now = tenth / 10
        if (timer := tracker.next_timer) is not None and timer <= now:
            tracker.on_timer(now)
        for node in nodes:
            node.read_all()
            for other in generous:
                node.receive(other.held)
            node.call(tracker, now)


def reads(nodes: list[FakeNode]) -> int:
    return sum(lease.stop - lease.start for node in nodes for lease in node.ever_leased)


def test_where_everything_is_passed_on_nothing_is_read_twice(tracker: Tracker) -> None:
    nodes = [FakeNode(number) for number in range(8)]
    run(tracker, nodes, nodes)
    assert reads(nodes) == 100
    assert all(len(node.held) == 100 for node in nodes)


def test_what_a_mute_node_was_leased_is_read_by_one_other(tracker: Tracker) -> None:
    mute, *others = nodes = [FakeNode(number) for number in range(8)]
    run(tracker, nodes, others)
    kept = reads([mute])
    assert 0 < kept < 20  # nobody saw what it read, so it was given no more
    assert reads(others) == 100
    assert all(len(node.held) == 100 for node in others)


def test_a_node_that_passes_on_slowly_keeps_nothing(tracker: Tracker) -> None:
    slow, other = FakeNode(0, tells_have=True), FakeNode(1, leases_wanted=0)
    for tenth in range(SECONDS * 10):
        slow.read_all()
        slow.call(tracker, tenth / 10)
        if tenth % 5 == 0 and slow.held - other.held:
            other.receive([min(slow.held - other.held)])
        other.leases_wanted = 2 if len(slow.held) == 100 else 0
        other.call(tracker, tenth / 10)
    assert reads([slow]) == 100
    assert reads([other]) == 0
