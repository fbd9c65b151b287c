"""When a download that only other nodes can bring gives up: policy. There is no registry to fall back on.

Whoever pushed it tells the tracker within a moment, and a node that was restarted within seconds; so a while without a
byte means that nobody who can be reached has it.
"""

_ALONE_SECONDS = 5.0
_QUIET_SECONDS = 30.0


def nobody_has_at(moved_at: float, others: bool) -> float:
    """The time at which to give up. moved_at: when a byte last came; others: somebody else takes part in the swarm."""
    return moved_at + (_QUIET_SECONDS if others else _ALONE_SECONDS)
