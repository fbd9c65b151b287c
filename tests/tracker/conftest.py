"""A tracker whose chance is known, and time that tests pass by hand."""

import random

import pytest

from tests.tracker.nodes import CLUSTER
from tracker.directory.tracker import Tracker


@pytest.fixture
def tracker() -> Tracker:
    return Tracker(CLUSTER, random.Random(7))
