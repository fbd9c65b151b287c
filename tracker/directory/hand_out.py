"""Which members of a swarm a node is told as peers. Policy.

Half of them near (same rack, then same zone), half by chance, some of the whole complete; nobody banned, gone, or the
asker itself (the swarm's lists hold no other). At least LEAST where there are so many: the swarm slows down with fewer
neighbours than ten. The cost grows with what is handed out, not with the swarm.
"""

import random

from agent.wire.node_id import NodeId
from tracker.directory.member import Member
from tracker.directory.pick_list import PickList
from tracker.directory.swarm import Swarm

LEAST = 10
MOST = 100
_SMALL = 3  # a list of up to so many times what is wanted is shuffled rather than picked from
_TRIES = 3


def pick_peers(
    swarm: Swarm, asker: NodeId, zone: str, rack: str, wanted: int, rng: random.Random
) -> list[Member]:
    """`wanted` 0: none. A complete asker is told of nobody who is complete, too."""
    if wanted <= 0:
        return []
    wanted = min(max(wanted, LEAST), MOST)
    own = swarm.members.get(asker)
    draw = _Draw(asker, own is not None and own.complete, rng)
    if rack:
        draw.take(swarm.by_rack.get((zone, rack)), wanted // 2)
    if zone:
        draw.take(swarm.by_zone.get(zone), wanted // 2)
    draw.take(swarm.complete, min(len(draw.chosen) + max(wanted // 4, 1), wanted))
    draw.take(swarm.everyone, wanted)
    return list(draw.chosen)


class _Draw:
    def __init__(self, asker: NodeId, only_incomplete: bool, rng: random.Random) -> None:
        self.chosen: dict[Member, None] = {}
        self._asker = asker
        self._only_incomplete = only_incomplete
        self._rng = rng

    def take(self, members: PickList[Member] | None, until: int) -> None:
        """Adds from `members` by chance until `until` are chosen."""
        missing = until - len(self.chosen)
        if members is None or missing <= 0:
            return
        if len(members) <= _SMALL * (missing + len(self.chosen)):
            candidates = members.shuffled(self._rng)
        else:
            candidates = [members.pick(self._rng) for _ in range(_TRIES * missing)]
        for member in candidates:
            if member.record.node == self._asker or (self._only_incomplete and member.complete):
                continue
            self.chosen[member] = None
            if len(self.chosen) >= until:
                return
