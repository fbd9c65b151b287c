"""How long a tracker that has just started waits before it leases chunks of a swarm that was there before it. Policy.

Right after a restart the first node that calls would be taken for the only one, and be leased what others hold or read
already. Whoever calls with a cursor or a lease of a former tracker, or tells a young one that it is in the middle of a
blob, shows that the swarm is older; the others call soon.
"""

from tracker.directory.swarm import Swarm

YOUNG_SECONDS = 30.0  # since the first call of all
_QUIET_SECONDS = 2.0
_LONGEST_SECONDS = 6.0


def on_survivor(swarm: Swarm, now: float) -> None:
    """A node told of a former life of this swarm."""
    if swarm.settling_ends == 0.0:
        swarm.settling_ends = now + _LONGEST_SECONDS
    swarm.settling_until = min(now + _QUIET_SECONDS, swarm.settling_ends)


def is_settling(swarm: Swarm, now: float) -> bool:
    return now < swarm.settling_until
