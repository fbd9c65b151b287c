"""Which nodes may read a blob from the registry: all but one. Policy.

The last node that has not read any of it is fed by the others alone, so that no blob, however small, is asked for by
everybody. In a large swarm that changes nothing; in a small one a registry that logs or counts who asks sees one less.
"""

from tracker.directory.member import Member
from tracker.directory.swarm import Swarm

_SMALL_SWARM, _LARGE_SWARM = 2, 64
_PATIENCE_SECONDS = 2.0


def may_read(swarm: Swarm, member: Member, now: float) -> bool:
    """Whoever has read before may go on; so may who has starved for long, and everybody where the readers cannot."""
    members = len(swarm.members)
    if member.granted or not _SMALL_SWARM < members <= _LARGE_SWARM:
        return True
    if member.starving_since is not None and now - member.starving_since >= _PATIENCE_SECONDS:
        return True
    return sum(1 for other in swarm.members.values() if _is_reader(other, now)) < members - 1


def _is_reader(member: Member, now: float) -> bool:
    return member.granted > 0 and not member.refused and member.stalled_until <= now
