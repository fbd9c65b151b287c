"""`Border`: how a blob crosses from zone to zone: once into each. Policy.

One member of a zone, its importer in this swarm, takes from the other zones; everybody else has neighbours in its own
zone alone. It takes from gateways, a few members of each other zone. Only gateways are leased reads of the registry, so
that what is new is a step from every zone.

One rule for what goes over the border: gateways give, and importers are given to. So an importer sends a gateway
nothing (else every chunk came back), unless each of them is both, as the only node of a zone is: such nodes give and
take, and since no offer of what is there or on its way is accepted, nothing comes twice. (Nor does anybody send a chunk
back to the zone that it came from: agent/swarm/zones.py.) Zones fill and empty while a blob comes: whoever was told
something that holds no more is told again.

A zone cannot starve for good (as those did that another system cut off by zone): an importer that has got nothing for a
while hands over to the next member of its zone, and who starves long may read the registry as everywhere.

Who comes first is importer, the next few are gateways: places in the zone's list, so that nothing needs to be kept but
how often a zone has changed its importer.
"""

from tracker.directory.member import Member
from tracker.directory.pick_list import PickList

_GATEWAYS = 16
_IMPORTS_FROM = 8  # gateways of each other zone
_MOST_IMPORTED_FROM = 32
_STARVED_SECONDS = 2.0
_STARVED_CHUNKS = 10.0  # and the time that so many chunks take: a large one is long under way


class Border:
    __slots__ = ("_by_zone", "_changed_at", "_changes")

    def __init__(self, by_zone: dict[str, PickList[Member]]) -> None:
        self._by_zone = by_zone
        self._changes: dict[str, int] = {}
        self._changed_at: dict[str, float] = {}

    @property
    def is_drawn(self) -> bool:
        return len(self._by_zone) > 1

    def importer(self, zone: str) -> Member | None:
        members = self._by_zone.get(zone)
        return members[self._changes.get(zone, 0) % len(members)] if members else None

    def gateways(self, zone: str) -> list[Member]:
        """In a zone of one, that one is both."""
        members, importer = self._by_zone.get(zone), self.importer(zone)
        if members is None or len(members) == 1:
            return list(members or ())
        first = [members[place] for place in range(min(_GATEWAYS + 1, len(members)))]
        return [member for member in first if member is not importer][:_GATEWAYS]

    def may_read(self, member: Member) -> bool:
        """Whether it may be leased a read: gateways, all where none of them can, and who starves."""
        if not self.is_drawn or not member.record.zone or member.starving_since is not None:
            return True
        gateways = self.gateways(member.record.zone)
        return member in gateways or all(gateway.refused for gateway in gateways)

    def review(self, member: Member, chunk_seconds: float, now: float) -> None:
        """`member` calls: where it imports in vain, another one does from now on."""
        zone = member.record.zone
        if not self.is_drawn or self.importer(zone) is not member or member.starving_since is None:
            return
        since = max(member.starving_since, self._changed_at.get(zone, float("-inf")))
        if now - since >= _STARVED_SECONDS + _STARVED_CHUNKS * chunk_seconds:
            self._changes[zone] = self._changes.get(zone, 0) + 1
            self._changed_at[zone] = now

    def imports_from(self, member: Member) -> list[tuple[Member, bool]]:
        """News for an importer: whom it takes from, beside its own zone, and whether it is to give them nothing."""
        zone = member.record.zone
        if not self.is_drawn or member.complete or self.importer(zone) is not member:
            return []
        is_gateway = member in self.gateways(zone)
        known = [one for one in member.told if one in self._by_zone.get(one.record.zone, ())]
        both = {
            one: not (is_gateway and self._is_importer(one)) for one in [*known, *self._exporters(member)]
        }
        news = [(one, take_only) for one, take_only in both.items() if member.told.get(one) is not take_only]
        member.told = both
        return news

    def _exporters(self, member: Member) -> list[Member]:
        others = [zone for zone in self._by_zone if zone != member.record.zone]
        # Many small zones do not all ask the same few.
        start = int.from_bytes(member.node[-4:], "big") % len(others)
        found: list[Member] = []
        for zone in others[start:] + others[:start]:
            found += self.gateways(zone)[:_IMPORTS_FROM]
            if len(found) >= _MOST_IMPORTED_FROM:
                break
        return found[:_MOST_IMPORTED_FROM]

    def _is_importer(self, member: Member) -> bool:
        return self.importer(member.record.zone) is member
