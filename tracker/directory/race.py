"""Which chunks a starving node may read from the registry though they are leased or held elsewhere. Policy.

Never slower than the registry alone: what a stuck lease keeps back may be raced at once; what others hold only after
a while without any progress, which grows with the cluster, since a chunk's way through many nodes takes its rounds.
"""

import math

from tracker.directory.lease import LeaseKind
from tracker.directory.member import Member
from tracker.directory.swarm import Swarm

_UNREACHABLE_SECONDS = 2.0
_SECONDS_PER_DOUBLING = 0.5


def patience_seconds(participants: int) -> float:
    return _UNREACHABLE_SECONDS + _SECONDS_PER_DOUBLING * math.log2(max(participants, 1))


def raceable_bits(swarm: Swarm, member: Member, now: float) -> int:
    """What `member` lacks and may race; nothing where it does not starve, and no chunk twice."""
    if member.starving_since is None:
        return 0
    candidates = 0
    own = 0
    for lease in swarm.leases.values():
        if lease.member is member:
            own |= lease.bits
        elif lease.kind is LeaseKind.NORMAL and lease.is_stuck(now):
            candidates |= lease.open_bits
    if now - member.starving_since > patience_seconds(len(swarm.members)):
        candidates |= swarm.held(now)
    return candidates & ~(member.have | swarm.raced | own)
