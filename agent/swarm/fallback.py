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

    began_at: the download's start. moved_at: when a chunk last came, from wherever. peers_moved_at: when a
    neighbour last brought one, None where there is no neighbour. receiving: one is on its way from a neighbour (who is
    let go of if no bytes of it come). reading: a read is under way already.
    """

    has_tracker: bool
    tracker_silent_since: float | None
    cluster_nodes: int
    began_at: float
    moved_at: float
    peers_moved_at: float | None
    receiving: bool
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
        if situation.receiving:
            return float("inf")
        patient_until = situation.tracker_silent_since + _PATIENCE_SECONDS
        stalled_since = max(situation.began_at, situation.tracker_silent_since)
        if situation.peers_moved_at is not None:
            patient_until = max(patient_until, situation.peers_moved_at + _PATIENCE_SECONDS)
            stalled_since = max(stalled_since, situation.peers_moved_at)  # it stalls for all of them at once
        spread = min(situation.cluster_nodes * _WAIT_PER_NODE_SECONDS, _LONGEST_WAIT_SECONDS)
        return max(patient_until, stalled_since + self._share * spread)
