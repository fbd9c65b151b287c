"""Which members of a swarm a node is told as peers. Policy.

Half of them near (same rack, then same zone), half by chance, some of the whole complete; where there are several zones
all of them are of the asker's own, and what comes from the others is border.py's; nobody banned, gone, or the
asker itself (the swarm's lists hold no other). At least LEAST where there are so many: the swarm slows down with fewer
(about as many others seek the asker). The cost grows with what is handed out, not with the swarm.
"""

import random

from agent.wire.node_id import NodeId
from tracker.directory.member import Member
from tracker.directory.pick_list import PickList
from tracker.directory.swarm import Swarm

LEAST = 8
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
    local = swarm.by_zone.get(zone) if zone and swarm.border.is_drawn else None
    if rack:
        draw.take(wanted // 2, swarm.by_rack.get((zone, rack)))
    if zone:
        draw.take(wanted if local else wanted // 2, swarm.by_zone.get(zone))
    if local:
        return list(draw.chosen)
    if own is not None and own.complete:
        draw.take(wanted, swarm.incomplete)
    else:
        draw.take(min(len(draw.chosen) + max(wanted // 4, 1), wanted), swarm.complete)
        draw.take(wanted, swarm.incomplete, swarm.complete)
    return list(draw.chosen)


class _Draw:
    def __init__(self, asker: NodeId, only_incomplete: bool, rng: random.Random) -> None:
        self.chosen: dict[Member, None] = {}
        self._asker = asker
        self._only_incomplete = only_incomplete
        self._rng = rng

    def take(self, until: int, *lists: PickList[Member] | None) -> None:
        """Adds from `lists`, by chance as if they were one, until `until` are chosen."""
        missing = until - len(self.chosen)
        if missing <= 0:
            return
        for member in self._candidates([members for members in lists if members], missing):
            if member.record.node == self._asker or (self._only_incomplete and member.complete):
                continue
            self.chosen[member] = None
            if len(self.chosen) >= until:
                return

    def _candidates(self, lists: list[PickList[Member]], missing: int) -> list[Member]:
        total = sum(len(members) for members in lists)
        if total <= _SMALL * (missing + len(self.chosen)):
            everyone = [member for members in lists for member in members]
            self._rng.shuffle(everyone)
            return everyone
        picked = []
        for _ in range(_TRIES * missing):
            place = int(self._rng.random() * total)
            for members in lists:
                if place < len(members):
                    picked.append(members[place])
                    break
                place -= len(members)
        return picked
