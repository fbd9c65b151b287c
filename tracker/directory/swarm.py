"""`Swarm`: who takes part in one blob, who holds what of it, and which chunks are being read from the registry.

Invariants: the pick lists hold exactly the members, each in the places of its zone, rack and completeness; `held()` is
the union of what live members hold; `leased` and `raced` are the unions of the leases' runs, kept by leases.py.
Sets of chunks are bits of ints (agent.content.chunk_set). The size is the first one told; others are counted.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from agent.content.chunk_map import ChunkMap
from agent.content.digest import Digest
from agent.wire.node_id import NodeId
from tracker.directory.border import Border
from tracker.directory.claims import ClaimLog
from tracker.directory.member import Member, NodeRecord
from tracker.directory.passing_on import PassingOn
from tracker.directory.pick_list import PickList

if TYPE_CHECKING:
    from tracker.directory.lease import LeaseRecord

_FEW_MEMBERS = 200
_HELD_SECONDS = 0.2


class Swarm:
    def __init__(self, digest: Digest, epoch: int, cut: Callable[[int], ChunkMap] = ChunkMap.of) -> None:
        """`cut`: how a blob of a given size is cut into chunks, the same for everybody."""
        self.digest = digest
        self._cut = cut
        self.chunks: ChunkMap | None = None
        self.full = 0  # the bits of all chunks, once the size is known
        self.members: dict[NodeId, Member] = {}
        self.incomplete: PickList[Member] = PickList()
        self.complete: PickList[Member] = PickList()
        self.by_zone: dict[str, PickList[Member]] = {}
        self.by_rack: dict[tuple[str, str], PickList[Member]] = {}
        self.border = Border(self.by_zone)
        self.claims = ClaimLog(epoch)
        self.passing = PassingOn()
        self.leases: dict[int, LeaseRecord] = {}
        self.leased = 0
        self.raced = 0
        self.waiting: dict[
            int, int
        ] = {}  # leases ever granted to a member -> how many such members wait for one
        self.passed_over_since: float | None = None
        self.banned: set[NodeId] = set()
        self.has_ranges = True
        self.chunk_seconds = (
            0.0  # how long the registry took for a chunk of the last lease that was read to its end
        )
        self.settling_until = 0.0
        self.settling_ends = 0.0
        self._held = 0
        self._held_is_stale = False
        self._held_until = 0.0

    # --- size -------------------------------------------------------------------------------------

    @property
    def size(self) -> int | None:
        return self.chunks.size if self.chunks else None

    @property
    def count(self) -> int:
        return self.chunks.count if self.chunks else 0

    def learn_size(self, size: int) -> None:
        self.chunks = self._cut(size)
        self.full = (1 << self.chunks.count) - 1
        for member in self.complete:
            member.have = self.full

    # --- members ----------------------------------------------------------------------------------

    def join(self, record: NodeRecord) -> Member:
        member = Member(record)
        self.members[record.node] = member
        record.members[self.digest] = member
        record.incomplete += 1
        self.incomplete.add(member)
        self._place(member)
        return member

    def leave(self, member: Member) -> None:
        self.set_waiting(member, False)
        self._displace(member)
        self.passing.on_leave(member)
        self.incomplete.discard(member)
        self.complete.discard(member)
        if not member.complete:
            member.record.incomplete -= 1
        self._held_is_stale = self._held_is_stale or member.have != 0
        del self.members[member.node], member.record.members[self.digest]

    def move(self, member: Member, zone: str, rack: str) -> None:
        """The node is elsewhere now; its record is changed by the caller, after all its swarms know."""
        self._displace(member)
        self._place(member, zone, rack)

    def _place(self, member: Member, zone: str | None = None, rack: str | None = None) -> None:
        zone = member.record.zone if zone is None else zone
        rack = member.record.rack if rack is None else rack
        if zone:
            self.by_zone.setdefault(zone, PickList()).add(member)
        if rack:
            self.by_rack.setdefault((zone, rack), PickList()).add(member)

    def _displace(self, member: Member) -> None:
        zone, rack = member.record.zone, member.record.rack
        near = self.by_zone.get(zone)
        if near is not None:
            near.discard(member)
            if not near:
                del self.by_zone[zone]
        nearest = self.by_rack.get((zone, rack))
        if nearest is not None:
            nearest.discard(member)
            if not nearest:
                del self.by_rack[(zone, rack)]

    # --- who holds what ---------------------------------------------------------------------------

    def set_have(self, member: Member, bits: int) -> None:
        if member.complete:
            member.complete = False
            member.record.incomplete += 1
            self.complete.discard(member)
            self.incomplete.add(member)
        self.passing.on_have(member, bits)
        if member.have & ~bits:
            self._held_is_stale = True
        elif bits != member.have:
            self._held |= bits
            member.starving_since = None
        member.have = bits

    def set_complete(self, member: Member) -> None:
        if not member.complete:
            member.complete = True
            member.record.incomplete -= 1
            member.starving_since = None
            self.incomplete.discard(member)
            self.complete.add(member)
        self.passing.on_have(member, self.full)
        member.have = self.full
        self._held |= self.full

    def held(self, now: float | None = None) -> int:
        """The chunks that some live member holds. With `now`, a large swarm's losses may count a moment later."""
        if self.complete:
            return self.full
        if self._held_is_stale and (
            now is None or len(self.members) <= _FEW_MEMBERS or now >= self._held_until
        ):
            # 10,000 members of 1,000 chunks take 1.4 ms: members who lose chunks may not have that done every call.
            self._held_until = (now or 0.0) + _HELD_SECONDS
            self._held = 0
            for member in self.incomplete:
                self._held |= member.have
            self._held_is_stale = False
        return self._held

    def free(self, now: float | None = None) -> int:
        """The chunks that nobody holds and nobody reads."""
        return self.full & ~(self.held(now) | self.leased | self.raced)

    # --- who waits for a lease --------------------------------------------------------------------

    def set_waiting(self, member: Member, waiting: bool) -> None:
        if member.waiting == waiting:
            return
        member.waiting = waiting
        left = self.waiting.get(member.granted, 0) + (1 if waiting else -1)
        if left:
            self.waiting[member.granted] = left
        else:
            del self.waiting[member.granted]

    def count_granted(self, member: Member) -> None:
        waiting = member.waiting
        self.set_waiting(member, False)
        member.granted += 1
        self.set_waiting(member, waiting)

    def waiting_behind(self, granted: int) -> int:
        """How many members wait that have been given fewer than `granted` leases."""
        return sum(count for others, count in self.waiting.items() if others < granted)
