"""`Swarm`: one blob at one node, as a state machine. Events come in (`on_*`), actions come out; no I/O, no clock.

Theory of operation
    The holder decides. A node tells its neighbours what it has, what it wants and how many transfers it can take; a
    neighbour with a free upload slot picks one of them and one of its wanted chunks and OFFERs it; an accepted offer
    becomes a transfer. Declining an offer costs one small frame, so the same chunk is never sent to a node twice,
    however many holders think of it at once.

    A chunk is in exactly one state here:

        MISSING --on_offer--> INCOMING --on_arrived--> CHECKING --on_verified--> HAVE
           |  ^                  |                        |                       |
           |  +--on_leave--------+--------on_corrupt------+------on_mismatch------+
           +--on_reading--> READING --on_verified--> HAVE        (READING: our own read of the registry)
                               +--on_read_ended--> MISSING

    (arrivals.py keeps INCOMING and CHECKING. A chunk on its way from a neighbour stays INCOMING while a read of the
    registry covers it too; whichever comes first is kept.)

    What we want is what is MISSING. Changes are told to all neighbours, batched (bulletin.py). Each side's picture of
    the other is a guess; a wrong one costs a declined offer, never a stall: what is wanted again is told again, who
    leaves offers unanswered is tried again, and where nothing moves for long everything is told anew.

A complete blob is a Swarm that has everything: it only offers. Leases and the registry are the caller's; it reports
what it reads. When to read it without a lease is fallback.py's.
"""

import random
from collections.abc import Callable, Iterable

from agent.content.chunk_map import ChunkMap
from agent.content.chunk_set import ChunkSet
from agent.content.digest import Digest
from agent.swarm.actions import Action, Ban, Cancel, Forget, Reject, Request, Send, Tell
from agent.swarm.arrivals import Arrivals
from agent.swarm.bulletin import Bulletin, News
from agent.swarm.chunk_state import ChunkState
from agent.swarm.claim_book import ClaimBook
from agent.swarm.peer_record import PeerRecord
from agent.swarm.policy import SwarmPolicy
from agent.swarm.room_news import RoomNews
from agent.swarm.slots import slots
from agent.swarm.standstill import Standstill
from agent.swarm.uploads import Uploads
from agent.swarm.zones import Zones
from agent.wire.node_id import NodeId
from agent.wire.vouch import Notary, Vouch

_BELIED = "vouched for a chunk that the registry belies"


class Swarm:
    def __init__(
        self,
        blob: Digest,
        chunks: ChunkMap,
        have: ChunkSet,
        notary: Notary,
        rng: random.Random,
        policy: SwarmPolicy,
    ) -> None:
        self.blob = blob
        self.chunks = chunks
        self.claims = ClaimBook(blob, chunks.size, notary)
        self._policy = policy
        self._all = (1 << chunks.count) - 1
        self._have = have.bits & self._all
        self._reading = 0
        self._arrivals = Arrivals()
        self._peers: dict[NodeId, PeerRecord] = {}
        self._senders: dict[int, NodeId] = {}
        self._unvouched = 0
        self._zones = Zones()
        self._belied = 0
        self._uploads = Uploads(chunks, policy, rng)
        _, self._slots = slots(policy, chunks)
        self._urgent = 0
        self._standstill = Standstill(policy.renew_seconds)
        self._room_news = RoomNews(rng)
        self._bulletin = Bulletin(self._news(float("-inf")), policy.batch_seconds)

    # ---- what is so now

    @property
    def have(self) -> ChunkSet:
        return ChunkSet(self._have)

    @property
    def want(self) -> ChunkSet:
        return ChunkSet(self._missing())

    @property
    def free(self) -> int:
        """How many transfers this node could take now."""
        return self._free()

    @property
    def is_receiving(self) -> bool:
        """A neighbour is sending a chunk, or has just sent one."""
        return bool(self._arrivals.bits)

    @property
    def is_complete(self) -> bool:
        return self._have == self._all

    @property
    def peers(self) -> Iterable[PeerRecord]:
        return self._peers.values()

    def state_of(self, index: int) -> ChunkState:
        if self._have >> index & 1:
            return ChunkState.HAVE
        if self._arrivals.is_checking(index):
            return ChunkState.CHECKING
        if self._arrivals.is_incoming(index):
            return ChunkState.INCOMING
        return ChunkState.READING if self._reading >> index & 1 else ChunkState.MISSING

    def next_timer(self, now: float) -> float:
        """When on_timer has something to do (a past time: now); infinity for never."""
        if not self._peers:
            return float("inf")
        due = min(self._uploads.next_timer(now), self._bulletin.due)
        if not self._arrivals.bits:
            return min(due, self._renew_at())
        if self._could_be_late(self._missing()):
            return min(due, self._arrivals.next_late(self._policy.late_seconds, now))
        return due

    # ---- neighbours come, go, and tell

    def on_interest(
        self, node: NodeId, have: ChunkSet, want: ChunkSet, free: int, now: float, other_zone: str = ""
    ) -> list[Action]:
        """A neighbour takes part, or tells its state anew. other_zone: where it is, if not in our zone."""
        if self.claims.is_distrusted(node):
            return []
        peer = self._peers.get(node)
        if peer is None:
            peer = self._peers[node] = PeerRecord(node, 0, 0, 0)
            self._zones.enter(peer, other_zone)
            self._bulletin.doubt(self._all)  # our INTEREST may have crossed with what we told since
        peer.on_heard()
        peer.have = have.bits & self._all
        peer.want = want.bits & self._all & ~peer.have
        peer.free = free
        return self._settle(now)

    def take_only(self, node: NodeId, only: bool) -> None:
        """Whether to send nothing to this node of another zone, whatever it wants: its importer brings it that."""
        self._zones.take_only(node, only, self._peers.get(node))

    def on_leave(self, node: NodeId, now: float) -> list[Action]:
        """The neighbour left the swarm, or its link is gone: what it was sending is wanted again."""
        return self._settle(now) if self._remove(node) else []

    def on_have(self, node: NodeId, chunks: ChunkSet, now: float) -> list[Action]:  # noqa: ARG002 (an event)
        """It wants less now: nothing follows from that."""
        peer = self._peers.get(node)
        if peer is not None:
            peer.have |= chunks.bits & self._all
            peer.want &= ~chunks.bits
        return []

    def on_want(
        self, node: NodeId, add: ChunkSet, drop: ChunkSet, free: int, urgent: ChunkSet, now: float
    ) -> list[Action]:
        return self.on_news(node, Tell(ChunkSet(), add, drop, free, urgent), now)

    def on_news(self, node: NodeId, news: Tell, now: float) -> list[Action]:
        """HAVE and WANT at once, as a neighbour tells them: the event that is most frequent by far. What it wants it
        does not have, whatever it said before (it may have had to throw bytes away)."""
        peer = self._peers.get(node)
        if peer is None:
            return []
        if peer.silences:
            peer.on_heard()
        have, add, want = news.have.bits, news.add.bits, peer.want
        if have:
            peer.have |= have & self._all
        if add:
            peer.have &= ~add
        peer.want = want = (want & ~(have | news.drop.bits) | add) & self._all
        free = peer.free = news.free
        peer.urgent = news.urgent.bits & self._all
        return self._serve(now) if free and self._uploads.has_room and want & self._have else []

    # ---- uploads

    def on_request(self, node: NodeId, index: int, now: float) -> list[Action]:
        """Our offer was accepted. (One that we never made, or that timed out, is declined.)"""
        peer = self._peers.get(node)
        offered = peer is not None and self._uploads.take_back(peer, index)
        if peer is None or not offered or not self._servable >> index & 1:
            return [Reject(node, index, "not offered"), *self._serve(now)]
        self._uploads.accept(peer, index)
        return [Send(node, index), *self._serve(now)]

    def on_reject(self, node: NodeId, index: int, reason: str, now: float) -> list[Action]:
        """Our offer was declined, or a transfer that we asked for will not come."""
        peer = self._peers.get(node)
        if peer is None:
            return []
        peer.on_heard()
        if self._uploads.take_back(peer, index):
            if reason == "busy":
                peer.free = 0
            else:
                peer.want &= ~(1 << index)
            return self._serve(now)
        if index in peer.receiving:
            peer.receiving.discard(index)
            self._arrivals.drop(index, node)
            self._bulletin.doubt(1 << index)
        return self._settle(now)

    def on_sent(self, node: NodeId, index: int, now: float) -> list[Action]:
        """A Send is done, or was cancelled by the neighbour."""
        peer = self._peers.get(node)
        if peer is None or index not in peer.sending:
            return []
        self._uploads.finish(peer, index)
        return self._serve(now)

    # ---- downloads

    def on_offer(self, node: NodeId, index: int, vouch: Vouch | None, now: float) -> list[Action]:
        peer = self._peers.get(node)
        if peer is None or not 0 <= index < self.chunks.count:
            return [Reject(node, index, "unknown")]
        expected = None
        reason = self._objection(node, index, vouch, now)
        if reason is None:
            expected = self.claims.accept(index, vouch)
        if expected is None:
            self._bulletin.doubt_room()
            lies = [] if reason else self._unvouched_offer(index, vouch)
            return [Reject(node, index, reason or "unvouched"), *lies, *self._settle(now)]
        self._arrivals.start(index, node, expected, now)
        self._standstill.on_moved(now)
        peer.receiving.add(index)
        return [Request(node, index, expected), *self._settle(now)]

    def on_arrived(self, node: NodeId, index: int, now: float) -> list[Action]:
        """All bytes of a transfer are in, and go to be checked and written. Report on_verified or on_corrupt.

        There is room for the next one already. Where that means an idle line it is told now (1,000 nodes, 25 chunks:
        1.66 of the bound instead of 1.71); beside a second transfer it would only bring more offers than there is room
        for (100 nodes, 256 chunks, a fast registry: 1.05 instead of 1.035)."""
        peer = self._peers.get(node)
        if peer is not None:
            peer.receiving.discard(index)
        self._arrivals.check(index, node)
        return self._settle(now) if self._slots == 1 else []

    def on_verified(self, index: int, chunk: bytes, sender: NodeId | None, now: float) -> list[Action]:
        """The chunk is checked and on disk. `chunk` is its BLAKE3-256; `sender` None: we read it from the registry."""
        actions = self._cancel(index)
        self._standstill.on_moved(now)
        if sender is not None and self.claims.is_belied(index, chunk):
            kept = self._have >> index & 1  # a second source of what we have
            return [*actions, *([] if kept else [Forget(ChunkSet(1 << index))]), *self._settle(now)]
        self._reading &= ~(1 << index)
        self._have |= 1 << index
        if sender is None:
            self.claims.own(index, chunk)
            self._senders.pop(index, None)
        else:
            self._senders[index] = sender
            if sender in self._peers:
                self._peers[sender].chunks_received += 1
                self._zones.on_brought(index, self._peers[sender].other_zone, self._peers.values())
        return actions + self._settle(now)

    def on_corrupt(self, node: NodeId, index: int, now: float) -> list[Action]:
        """The bytes that `node` sent are not what was vouched for: fetch elsewhere, and have nothing to do with it."""
        self._arrivals.fail(index, node)
        self.claims.distrust(node)
        self._remove(node)
        return [Ban(node, index, "sent a chunk that does not verify"), *self._settle(now)]

    def on_unwritten(self, index: int, now: float) -> list[Action]:
        """A checked chunk could not be written (this disk): it is missing again."""
        self._arrivals.unwritten(index)
        return self._settle(now)

    def on_starving(self, index: int, now: float) -> list[Action]:
        """A reader waits for this chunk, and nothing has come for a while: mark the next few as urgent."""
        window = ChunkSet.run(index, index + self._policy.urgent_chunks).bits & self._all
        self._urgent = window & ~self._have
        return self._settle(now)

    # ---- the registry, as this node reads it

    def on_reading(self, chunks: ChunkSet, now: float) -> list[Action]:
        """We read these from the registry now: what of them is missing need not come from elsewhere."""
        self._reading |= chunks.bits & self._all & ~self._have
        self._standstill.on_moved(now)
        return self._settle(now)

    def on_read_ended(self, chunks: ChunkSet, now: float) -> list[Action]:
        """The read is over, whole or not."""
        self._reading &= ~chunks.bits
        return self._settle(now)

    def on_claims(
        self, claims: Iterable[tuple[int, bytes]], digest_of: Callable[[int], bytes | None], now: float
    ) -> list[Action]:
        """The tracker's map. `digest_of` gives the BLAKE3-256 of a chunk that we hold.

        A chunk that we hold on a voucher's word and that the map contradicts is thrown away and its voucher banned.
        What we read ourselves stays (the tracker settles that by another reading).
        """
        actions: list[Action] = []
        liars: dict[NodeId, int] = {}
        wrong = 0
        for index, chunk in claims:
            if not 0 <= index < self.chunks.count:
                continue
            if self._unvouched >> index & 1:
                self._unvouched ^= 1 << index
                self._bulletin.doubt(1 << index)  # an offer of it would be welcome now
            liar = self.claims.settle(index, chunk)
            if liar is not None:
                liars.setdefault(liar, index)
            if self._arrivals.expected(index) not in (None, chunk):
                actions += self._cancel(index)
            held = digest_of(index) if self._have >> index & 1 and index in self._senders else None
            if held is not None and held != chunk:
                wrong |= 1 << index
        for liar, index in liars.items():
            actions += self._expose(liar, index)
        return actions + self._doubt(wrong) + self._settle(now)

    def on_mismatch(self, now: float) -> list[Action]:
        """Every chunk is here, and the whole is not the blob: somebody vouched falsely. All that we did not read
        ourselves goes; its vouchers and senders are out of this swarm; where we read everything, everything goes.
        Where the tracker's map has named the wrong chunks already, only these go."""
        if not self.is_complete:
            return []
        if self._belied:
            belied, self._belied = self._belied, 0
            return self._forget(belied) + self._settle(now)
        ours = ChunkSet.of(self.claims.owned()).bits
        wrong = self._all & ~ours
        suspects = (self.claims.vouchers() | set(self._senders.values())) if wrong else set()
        if not wrong:
            wrong = self._all
            self.claims.disown(range(self.chunks.count))
        actions = self._forget(wrong)
        for node in sorted(suspects):
            self.claims.distrust(node)
            self._remove(node)
            actions.append(Ban(node, None, "a part in a blob that does not match its digest"))
        return actions + self._settle(now)

    def on_whole(self, digests: Iterable[bytes]) -> None:
        """The whole blob is verified: from here on we vouch for every chunk ourselves."""
        for index, chunk in enumerate(digests):
            self.claims.own(index, chunk)
        self._senders.clear()
        self._belied = 0

    def on_timer(self, now: float) -> list[Action]:
        self._uploads.expire(self._peers, now)
        if now >= self._renew_at():
            self._bulletin.doubt(self._all)
            self._standstill.on_renewed(now)
        return self._settle(now)

    # ---- inside

    @property
    def _servable(self) -> int:
        return self._have & ~self._belied

    def _missing(self) -> int:
        return self._all & ~(self._have | self._reading | self._arrivals.bits)

    def _free(self) -> int:
        if self.is_complete:
            return 0
        return max(self._slots - self._arrivals.incoming, 0)

    def _could_be_late(self, missing: int) -> bool:
        """Nothing is left to ask for but the last few chunks."""
        return (
            not missing and 0 < self._arrivals.incoming <= self._policy.late_chunks and len(self._peers) > 1
        )

    def _late(self, missing: int, now: float) -> int:
        """Chunks that have been under way for long while nothing else is left: a second source may bring them."""
        if not self._could_be_late(missing):
            return 0
        return self._arrivals.late(self._policy.late_seconds, now) & ~self._reading

    def _objection(self, node: NodeId, index: int, vouch: Vouch | None, now: float) -> str | None:
        if self._have >> index & 1 or self._arrivals.is_checking(index):
            return "have"
        if self.claims.is_distrusted(node):
            return "distrusted"
        if self._reading >> index & 1:
            return "taken"
        expected = self._arrivals.expected(index)
        if expected is None:
            return None if self._free() else "busy"
        if self._arrivals.is_from(index, node) or not self._late(self._missing(), now) >> index & 1:
            return "taken"
        return "unvouched" if vouch is not None and vouch.chunk != expected else None

    def _unvouched_offer(self, index: int, vouch: Vouch | None) -> list[Action]:
        """Nothing that we trust stands for this offer: remember that, and see whether its vouch is a lie."""
        self._unvouched |= 1 << index
        known = vouch is not None and self.claims.is_distrusted(vouch.node)
        lied = vouch is not None and not known and self.claims.contradicts(index, vouch)
        return self._expose(vouch.node, index) if vouch is not None and lied else []

    def _expose(self, liar: NodeId, index: int) -> list[Action]:
        """It signed what the registry belies: throw away what we hold on its word alone."""
        alone = ChunkSet.of(self.claims.distrust(liar)).bits
        self._remove(liar)
        return [Ban(liar, index, _BELIED), *self._doubt(alone & self._have)]

    def _news(self, now: float) -> News:
        missing, free = self._missing(), self._free()
        late = self._late(missing, now)
        if late:
            free = max(free, 1)
        return News(self._have, missing | late, free, self._urgent & ~self._have)

    def _renew_at(self) -> float:
        """When neighbours are told everything anew, because nothing moves though we want something."""
        is_still = not self._arrivals.bits and self._peers and self._missing()
        return self._standstill.renew_at if is_still else float("inf")

    def _settle(self, now: float) -> list[Action]:
        """After every event: use free upload slots, tell what changed (batched)."""
        self._standstill.begin(now)
        self._bulletin.observe(self._news(now))
        actions = self._serve(now)
        if self._peers:
            tell = self._bulletin.tell(now)
            if tell is not None:
                self._room_news.on_told(tell.free)
                return [*actions, tell]
            urgent = self._urgent & ~self._have
            actions += self._room_news.tell(self._free(), self._missing(), urgent, self._peers.values())
        return actions

    def _serve(self, now: float) -> list[Action]:
        """After what neighbours say of themselves, which changes nothing here: use free upload slots."""
        if not self._uploads.has_room:
            return []
        return [*self._uploads.offer(self._peers.values(), self._servable, self.claims, now)]

    def _remove(self, node: NodeId) -> bool:
        peer = self._peers.pop(node, None)
        if peer is None:
            return False
        self._uploads.drop(peer)
        for index in peer.receiving:
            self._arrivals.drop(index, node)
        return True

    def _cancel(self, index: int) -> list[Action]:
        """Whoever still sends this chunk need not."""
        actions: list[Action] = []
        for node in self._arrivals.end(index):
            self._peers[node].receiving.discard(index)
            actions.append(Cancel(node, index))
        return actions

    def _doubt(self, bits: int) -> list[Action]:
        """These are belied. Once every chunk is here, the whole's digest decides, which is just being computed; until
        then they are not served."""
        if not self.is_complete:
            return self._forget(bits)
        self._belied |= bits
        return self._break_off(bits)

    def _break_off(self, bits: int) -> list[Action]:
        actions: list[Action] = []
        for peer in self._peers.values():
            for index in sorted(index for index in peer.sending if bits >> index & 1):
                self._uploads.break_off(peer, index)
                actions.append(Reject(peer.node, index, "gone"))
        return actions

    def _forget(self, bits: int) -> list[Action]:
        """Throw chunks away, and break off what is being sent of them."""
        if not bits:
            return []
        self._have &= ~bits
        self._bulletin.forget(bits)
        self._zones.forget(bits, self._peers.values())
        for index in ChunkSet(bits):
            self._senders.pop(index, None)
        return [*self._break_off(bits), Forget(ChunkSet(bits))]
