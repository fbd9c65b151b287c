"""Which chunks a starving node may read from the registry though they are leased or held elsewhere. Policy.

Never slower than the registry alone: what a stuck lease keeps back may be raced at once, and so may what its reader
does not pass on (passing_on.py); what others hold only after a while without any progress, which grows with the
cluster, since a chunk's way through many nodes takes its rounds, and with the time that a chunk takes on these lines:
where the registry is no faster than they are, racing it in vain only delays what everybody waits for.
"""

import math

from tracker.directory import passing_on
from tracker.directory.lease import LeaseKind
from tracker.directory.member import Member
from tracker.directory.swarm import Swarm

_UNREACHABLE_SECONDS = 2.0
_SECONDS_PER_DOUBLING = 0.5
_CHUNKS_PER_DOUBLING = 2.0


def patience_seconds(participants: int, chunk_seconds: float) -> float:
    """chunk_seconds: how long a chunk took to be read lately, 0 where that is not known."""
    round_seconds = max(_SECONDS_PER_DOUBLING, _CHUNKS_PER_DOUBLING * chunk_seconds)
    return _UNREACHABLE_SECONDS + round_seconds * math.log2(max(participants, 1))


def raceable_bits(swarm: Swarm, member: Member, now: float) -> int:
    """What `member` lacks and may race; nothing where it does not starve, and no chunk twice."""
    if member.starving_since is None:
        return 0
    patience = passing_on.patience_seconds(swarm.chunk_seconds, member.record.interval_seconds)
    candidates = swarm.passing.kept(now, patience) & swarm.held(now)
    own = 0
    for lease in swarm.leases.values():
        if lease.member is member:
            own |= lease.bits
        elif lease.kind is LeaseKind.NORMAL and lease.is_stuck(now):
            candidates |= lease.open_bits
    if now - member.starving_since > patience_seconds(len(swarm.members), swarm.chunk_seconds):
        candidates |= swarm.held(now)
    return candidates & ~(member.have | swarm.raced | own | swarm.passing.fresh(now, patience))
