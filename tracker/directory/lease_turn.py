"""Whose turn it is when several nodes wait for a lease: those who had the fewest. Policy.

Leases are handed out when a node calls, so preferring one means letting another go without for now. That is worth it
only where somebody more deserving calls in a moment; else the registry would idle.
"""

_MOST_IDLE_SECONDS = 0.02


def must_wait(running: int, waiting_behind: int, interval_seconds: float) -> bool:
    """Whether a caller who holds `running` leases lets `waiting_behind` nodes, each given fewer so far, go first.

    `interval_seconds`: how often each of them calls.
    """
    if waiting_behind == 0:
        return False
    if running > 0:
        return True
    return interval_seconds / waiting_behind <= _MOST_IDLE_SECONDS
