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

    What we want is what is MISSING. Changes are told to all neighbours, batched.

A complete blob is a Swarm that has everything: it only offers. Leases and the registry are the caller's; it reports
what it reads. When to read it without a lease is fallback.py's.
"""

import random
from collections.abc import Callable, Iterable
from enum import Enum

from agent.content.chunk_map import ChunkMap
from agent.content.chunk_set import ChunkSet
from agent.content.digest import Digest
from agent.swarm.actions import Action, Ban, Cancel, Forget, Offer, Reject, Request, Send, Tell
from agent.swarm.choosing import choose_chunk, choose_receiver
from agent.swarm.claim_book import ClaimBook
from agent.swarm.peer_record import PeerRecord
from agent.swarm.policy import SwarmPolicy
from agent.wire.node_id import NodeId
from agent.wire.vouch import Notary, Vouch

_BELIED = "vouched for a chunk that the registry belies"


class ChunkState(Enum):
    MISSING = "missing"
    INCOMING = "incoming"
    CHECKING = "checking"
    READING = "reading"
    HAVE = "have"


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
        self._rng = rng
        self._all = (1 << chunks.count) - 1
        self._have = have.bits
        self._reading = 0
        self._checking: dict[int, NodeId] = {}
        self._incoming: dict[int, dict[NodeId, float]] = {}
        self._peers: dict[NodeId, PeerRecord] = {}
        self._senders: dict[int, NodeId] = {}
        self._copies = [0] * chunks.count
        self._sent_levels = [self._all]
        self._urgent = 0
        self._told = self._news(float("-inf"))
        self._told_at = float("-inf")

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
    def is_complete(self) -> bool:
        return self._have == self._all

    @property
    def peers(self) -> Iterable[PeerRecord]:
        return self._peers.values()

    def state_of(self, index: int) -> ChunkState:
        if self._have >> index & 1:
            return ChunkState.HAVE
        if index in self._checking:
            return ChunkState.CHECKING
        if index in self._incoming:
            return ChunkState.INCOMING
        return ChunkState.READING if self._reading >> index & 1 else ChunkState.MISSING

    def next_timer(self, now: float) -> float:
        """When on_timer has something to do; infinity for never."""
        times = [
            at + self._policy.offer_seconds for peer in self._peers.values() for at in peer.offered.values()
        ]
        if self._peers and self._news(now) != self._told:
            times.append(self._told_at + self._policy.batch_seconds)
        if self._could_be_late():
            late = [
                min(at.values()) + self._policy.late_seconds for at in self._incoming.values() if len(at) == 1
            ]
            times += [at for at in late if at > now]
        return min(times, default=float("inf"))

    # ---- neighbours come, go, and tell

    def on_interest(
        self, node: NodeId, have: ChunkSet, want: ChunkSet, free: int, now: float
    ) -> list[Action]:
        """A neighbour takes part, or tells its state anew."""
        old = self._peers.get(node)
        if old is None:
            self._peers[node] = PeerRecord(node, have.bits, want.bits, free)
            self._count_copies(have.bits, +1)
        else:
            self._count_copies(old.have, -1)
            self._count_copies(have.bits, +1)
            old.have, old.want, old.free = have.bits, want.bits, free
        return self._settle(now)

    def on_leave(self, node: NodeId, now: float) -> list[Action]:
        """The neighbour left the swarm, or its link is gone: what it was sending is wanted again."""
        peer = self._peers.pop(node, None)
        if peer is None:
            return []
        self._count_copies(peer.have, -1)
        for index in peer.receiving:
            self._drop_source(index, node)
        return self._settle(now)

    def on_have(self, node: NodeId, chunks: ChunkSet, now: float) -> list[Action]:
        peer = self._peers.get(node)
        if peer is None:
            return []
        self._count_copies(chunks.bits & ~peer.have, +1)
        peer.have |= chunks.bits
        peer.want &= ~chunks.bits
        return self._settle(now)

    def on_want(
        self, node: NodeId, add: ChunkSet, drop: ChunkSet, free: int, urgent: ChunkSet, now: float
    ) -> list[Action]:
        peer = self._peers.get(node)
        if peer is None:
            return []
        peer.want = (peer.want & ~drop.bits | add.bits) & ~peer.have
        peer.free = free
        peer.urgent = urgent.bits
        return self._settle(now)

    # ---- uploads

    def on_request(self, node: NodeId, index: int, now: float) -> list[Action]:
        """Our offer was accepted. (One that we never made, or that timed out, is declined.)"""
        peer = self._peers.get(node)
        if peer is None or peer.offered.pop(index, None) is None or not self._have >> index & 1:
            return [Reject(node, index, "not offered")]
        peer.sending.add(index)
        peer.want &= ~(1 << index)
        peer.free = max(peer.free - 1, 0)
        self._count_sent(index)
        return [Send(node, index), *self._settle(now)]

    def on_reject(self, node: NodeId, index: int, reason: str, now: float) -> list[Action]:
        """Our offer was declined, or a transfer that we asked for will not come."""
        peer = self._peers.get(node)
        if peer is None:
            return []
        if peer.offered.pop(index, None) is not None:
            if reason == "busy":
                peer.free = 0
            else:
                peer.want &= ~(1 << index)
        elif index in peer.receiving:
            peer.receiving.discard(index)
            self._drop_source(index, node)
            self._retell(1 << index)
        return self._settle(now)

    def on_sent(self, node: NodeId, index: int, now: float) -> list[Action]:
        """A Send is done, or was cancelled by the neighbour."""
        peer = self._peers.get(node)
        if peer is None or index not in peer.sending:
            return []
        peer.sending.discard(index)
        peer.chunks_sent += 1
        return self._settle(now)

    # ---- downloads

    def on_offer(self, node: NodeId, index: int, vouch: Vouch | None, now: float) -> list[Action]:
        peer = self._peers.get(node)
        if peer is None or not 0 <= index < self.chunks.count:
            return [Reject(node, index, "unknown")]
        reason = self._objection(node, index, now)
        if reason is not None:
            self._retell(1 << index)
            return [Reject(node, index, reason), *self._settle(now)]
        expected = self.claims.accept(index, vouch)
        if expected is None:
            lied = vouch is not None and self.claims.contradicts(index, vouch)
            ban = [Ban(vouch.node, index, _BELIED)] if vouch and lied else []
            return [Reject(node, index, "unvouched"), *ban]
        self._incoming.setdefault(index, {})[node] = now
        peer.receiving.add(index)
        return [Request(node, index, expected), *self._settle(now)]

    def on_arrived(self, node: NodeId, index: int) -> None:
        """All bytes of a transfer are in, and go to be checked and written. Report on_verified or on_corrupt."""
        peer = self._peers.get(node)
        if peer is not None:
            peer.receiving.discard(index)
        sources = self._incoming.get(index)
        if sources is not None and node in sources:
            del sources[node]
            if not sources:
                del self._incoming[index]
            self._checking.setdefault(index, node)

    def on_verified(self, index: int, chunk: bytes, sender: NodeId | None, now: float) -> list[Action]:
        """The chunk is checked and on disk. `chunk` is its BLAKE3-256; `sender` None: we read it from the registry."""
        actions: list[Action] = []
        for node in self._incoming.pop(index, {}):
            actions.append(Cancel(node, index))
            self._peers[node].receiving.discard(index)
        self._checking.pop(index, None)
        self._reading &= ~(1 << index)
        self._have |= 1 << index
        if sender is None:
            self.claims.own(index, chunk)
            self._senders.pop(index, None)
        else:
            self._senders[index] = sender
            if sender in self._peers:
                self._peers[sender].chunks_received += 1
        return actions + self._settle(now)

    def on_corrupt(self, node: NodeId, index: int, now: float) -> list[Action]:
        """The bytes that `node` sent are not what was vouched for: fetch elsewhere, and have nothing to do with it."""
        if self._checking.get(index) == node:
            del self._checking[index]
        self.claims.distrust(node)
        return [
            Ban(node, index, "sent a chunk that does not verify"),
            *self.on_leave(node, now),
            *self._settle(now),
        ]

    def on_unwritten(self, index: int, now: float) -> list[Action]:
        """A checked chunk could not be written (this disk): it is missing again."""
        self._checking.pop(index, None)
        return self._settle(now)

    def on_starving(self, index: int, now: float) -> list[Action]:
        """A reader waits for this chunk, and nothing has come for a while: mark the next few as urgent."""
        window = ChunkSet.run(index, index + self._policy.urgent_chunks).bits & self._all
        self._urgent = window & ~self._have
        return self._settle(now)

    # ---- the registry, as this node reads it

    def on_reading(self, chunks: ChunkSet, now: float) -> list[Action]:
        """We read these from the registry now: what of them is missing need not come from elsewhere."""
        self._reading |= chunks.bits & self._missing()
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
        wrong = 0
        for index, chunk in claims:
            if not 0 <= index < self.chunks.count:
                continue
            self._retell(1 << index)  # an offer declined for want of a vouch is welcome now
            liar = self.claims.settle(index, chunk)
            if liar is not None:
                actions.append(Ban(liar, index, _BELIED))
            held = digest_of(index) if self._have >> index & 1 and index in self._senders else None
            if held is not None and held != chunk:
                wrong |= 1 << index
        if wrong and not self.is_complete:
            self._forget(wrong)
            actions.append(Forget(ChunkSet(wrong)))
        return actions + self._settle(now)

    def on_mismatch(self, now: float) -> list[Action]:
        """Every chunk is here, and the whole is not the blob: somebody vouched falsely. All that came from others goes;
        their vouchers and senders are out of this swarm; where nothing came from others, everything goes."""
        others = ChunkSet.of(self._senders).bits
        suspects = (self.claims.vouchers() | set(self._senders.values())) if others else set()
        wrong = others or self._all
        self._forget(wrong)
        actions: list[Action] = [Forget(ChunkSet(wrong))]
        for node in sorted(suspects):
            self.claims.distrust(node)
            actions.append(Ban(node, None, "a part in a blob that does not match its digest"))
            actions += self.on_leave(node, now)
        return actions + self._settle(now)

    def on_whole(self, digests: Iterable[bytes]) -> None:
        """The whole blob is verified: from here on we vouch for every chunk ourselves."""
        for index, chunk in enumerate(digests):
            self.claims.own(index, chunk)
        self._senders.clear()

    def on_timer(self, now: float) -> list[Action]:
        for peer in self._peers.values():
            for index in [i for i, at in peer.offered.items() if now >= at + self._policy.offer_seconds]:
                del peer.offered[index]
                peer.free = 0  # it is not answering; its next WANT says better
        return self._settle(now)

    # ---- inside

    def _missing(self) -> int:
        missing = self._all & ~self._have & ~self._reading
        for index in self._incoming:
            missing &= ~(1 << index)
        for index in self._checking:
            missing &= ~(1 << index)
        return missing

    def _free(self) -> int:
        return (
            max(self._policy.downloads + self._policy.ahead - len(self._incoming), 0)
            if not self.is_complete
            else 0
        )

    def _could_be_late(self) -> bool:
        return (
            0 < len(self._incoming) <= self._policy.late_chunks
            and not self._missing()
            and len(self._peers) > 1
        )

    def _late(self, now: float) -> int:
        """Chunks that have been under way for long while nothing else is left: a second source may bring them."""
        if not self._could_be_late():
            return 0
        limit = now - self._policy.late_seconds
        return ChunkSet.of(
            i for i, at in self._incoming.items() if len(at) == 1 and min(at.values()) <= limit
        ).bits

    def _objection(self, node: NodeId, index: int, now: float) -> str | None:
        if self._have >> index & 1 or index in self._checking:
            return "have"
        if self.claims.is_distrusted(node):
            return "distrusted"
        sources = self._incoming.get(index)
        if sources is not None and (node in sources or not self._late(now) >> index & 1):
            return "taken"
        if self._reading >> index & 1:
            return "taken"
        return "busy" if sources is None and not self._free() else None

    def _news(self, now: float) -> tuple[int, int, int, int]:
        return self._have, self._missing() | self._late(now), self._free(), self._urgent & ~self._have

    def _retell(self, bits: int) -> None:
        """A neighbour may have dropped these wants, or thinks that we are busy: tell both anew with the next batch."""
        have, want, _, urgent = self._told
        self._told = have, want & ~bits, -1, urgent

    def _settle(self, now: float) -> list[Action]:
        """After every event: use free upload slots, tell what changed (batched)."""
        actions = self._offers(now)
        if now < self._told_at + self._policy.batch_seconds:
            return actions
        news = have, want, free, urgent = self._news(now)
        if news != self._told:
            told_have, told_want = self._told[:2]
            changes = (
                ChunkSet(have & ~told_have),
                ChunkSet(want & ~told_want),
                ChunkSet(told_want & ~want & ~have),
            )
            self._told = news
            self._told_at = now
            if self._peers:
                actions.append(Tell(*changes, free, ChunkSet(urgent)))
        return actions

    def _offers(self, now: float) -> list[Action]:
        actions: list[Action] = []
        slots = self._policy.uploads + self._policy.ahead
        busy = sum(len(peer.offered) + len(peer.sending) for peer in self._peers.values())
        while busy < slots:
            choice = choose_receiver(self._peers.values(), self._have, self._rng)
            if choice is None:
                break
            peer, bits = choice
            index = choose_chunk(bits, peer.urgent, self._sent_levels, self._copies, self._rng)
            peer.offered[index] = now
            actions.append(Offer(peer.node, index, self.claims.vouch_for(index)))
            busy += 1
        return actions

    def _count_sent(self, index: int) -> None:
        bit = 1 << index
        for level, bits in enumerate(self._sent_levels):
            if bits & bit:
                self._sent_levels[level] ^= bit
                if level + 1 == len(self._sent_levels):
                    self._sent_levels.append(0)
                self._sent_levels[level + 1] |= bit
                return

    def _count_copies(self, bits: int, by: int) -> None:
        if bits == self._all:
            return  # a seed changes no order
        for index in ChunkSet(bits & self._all):
            self._copies[index] += by

    def _drop_source(self, index: int, node: NodeId) -> None:
        sources = self._incoming.get(index)
        if sources is not None:
            sources.pop(node, None)
            if not sources and index not in self._checking:
                del self._incoming[index]

    def _forget(self, bits: int) -> None:
        self._have &= ~bits
        for index in ChunkSet(bits):
            self._senders.pop(index, None)
        told_have, told_want, free, urgent = self._told
        self._told = told_have & ~bits, told_want & ~bits, free, urgent
