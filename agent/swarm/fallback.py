"""When a node reads the registry without a lease: policy, so that a cluster whose tracker is away neither hangs nor
falls upon the registry all at once.

No tracker at all: at once. A tracker that answers: it decides, unless nothing has come for so long that something must
be broken. A tracker that does not answer: as long as neighbours bring chunks, never; else after a jittered wait that
grows with the cluster's known size, so that the first few to wake feed the rest.
"""

import random
from dataclasses import dataclass

_PATIENCE_SECONDS = 1.0
_WAIT_PER_NODE_SECONDS = 0.05
_LONGEST_WAIT_SECONDS = 30.0
_BROKEN_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Situation:
    """has_tracker: one is configured. tracker_silent_since: None while it answers. cluster_nodes: as last heard.
    moved_at: when a chunk last came, from wherever, or the download began. reading: a read is under way already."""

    has_tracker: bool
    tracker_silent_since: float | None
    cluster_nodes: int
    moved_at: float
    reading: bool


class Fallback:
    """One download's decision; its share of the jitter is drawn once."""

    def __init__(self, rng: random.Random) -> None:
        self._share = rng.random()

    def read_alone_at(self, situation: Situation) -> float:
        """The time from which this node may read the registry unasked; infinity while a read is under way."""
        if situation.reading:
            return float("inf")
        if not situation.has_tracker:
            return float("-inf")
        if situation.tracker_silent_since is None:
            return situation.moved_at + _BROKEN_SECONDS * (1 + self._share)
        quiet_since = max(situation.moved_at, situation.tracker_silent_since)
        spread = min(situation.cluster_nodes * _WAIT_PER_NODE_SECONDS, _LONGEST_WAIT_SECONDS)
        return quiet_since + _PATIENCE_SECONDS + self._share * spread
