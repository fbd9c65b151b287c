"""A tracker whose chance is known, and time that tests pass by hand."""

import random

import pytest

from agent.content.digest import Digest
from tests.tracker.nodes import CLUSTER, FakeNode
from tracker.directory.tracker import Tracker


@pytest.fixture
def tracker() -> Tracker:
    """It has been up for a while: nothing that nodes tell comes from before it."""
    tracker = Tracker(CLUSTER, random.Random(7))
    early = FakeNode(999, digest=Digest.of(b"of earlier"))
    early.call(tracker, -1000)
    tracker.on_announce(early.announce(leaving=True), early.host, -1000)
    tracker.take_events()
    return tracker
