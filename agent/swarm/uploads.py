"""`Uploads`: a node's upload slots in one swarm: what is offered to whom next, and offers that nobody answers.

A slot is taken from the offer on until the chunk is sent or declined, so offers and sends together never exceed them.
Who leaves an offer unanswered gets none for a while, and is tried again: the offer may have been lost on the way.
Which slots are taken is counted as it changes: a node hears from its neighbours a hundred times for each chunk that it
sends, and nearly always finds here that there is nothing to do.
"""

import random
from collections.abc import Collection, Mapping

from agent.content.chunk_map import ChunkMap
from agent.swarm.actions import Offer
from agent.swarm.choosing import choose_chunk, choose_receiver
from agent.swarm.claim_book import ClaimBook
from agent.swarm.peer_record import PeerRecord
from agent.swarm.policy import SwarmPolicy
from agent.swarm.slots import slots
from agent.swarm.spread import Spread
from agent.wire.node_id import NodeId

_LONGEST_QUIET_SECONDS = 30.0
_MOST_SILENCES = 10


class Uploads:
    def __init__(self, chunks: ChunkMap, policy: SwarmPolicy, rng: random.Random) -> None:
        self._policy = policy
        self._slots, self._room = slots(policy, chunks)
        self._rng = rng
        self._spread = Spread((1 << chunks.count) - 1)
        self._offers: dict[tuple[NodeId, int], float] = {}  # the oldest first
        self._sends = 0
        self._quiet: dict[NodeId, PeerRecord] = {}

    @property
    def has_room(self) -> bool:
        return len(self._offers) + self._sends < self._slots

    def offer(self, peers: Collection[PeerRecord], have: int, claims: ClaimBook, now: float) -> list[Offer]:
        """Offers for the free slots, noted in the peers' records."""
        offers: list[Offer] = []
        while have and self.has_room:
            choice = choose_receiver(peers, have, self._rng, now)
            if choice is None:
                break
            peer, bits = choice
            offered = 0
            for _, index in self._offers:
                offered |= 1 << index
            index = choose_chunk(bits, peer.urgent, offered, self._spread.levels, peers, self._rng)
            peer.offered[index] = self._offers[peer.node, index] = now
            peer.under_way |= 1 << index
            offers.append(Offer(peer.node, index, claims.vouch_for(index)))
        return offers

    def take_back(self, peer: PeerRecord, index: int) -> bool:
        """An offer is answered, or open no more. Whether there was one."""
        if peer.offered.pop(index, None) is None:
            return False
        del self._offers[peer.node, index]
        peer.under_way &= ~(1 << index)
        return True

    def accept(self, peer: PeerRecord, index: int) -> None:
        """The offer, which was taken back just now, becomes a transfer."""
        peer.on_heard()
        peer.sending.add(index)
        peer.under_way |= 1 << index
        self._sends += 1
        peer.want &= ~(1 << index)
        peer.free = max(peer.free - 1, 0)
        self._spread.count(index)

    def finish(self, peer: PeerRecord, index: int) -> None:
        """Sent, or cancelled. The place that it took there is free again: waiting to be told so would leave a fast
        line idle for most of a batch. Where it is not, the next offer is declined, and the next WANT says so."""
        self.break_off(peer, index)
        peer.want &= ~(1 << index)
        peer.chunks_sent += 1
        peer.free = min(peer.free + 1, self._room)

    def break_off(self, peer: PeerRecord, index: int) -> None:
        peer.sending.discard(index)
        peer.under_way &= ~(1 << index)
        self._sends -= 1

    def drop(self, peer: PeerRecord) -> None:
        """It has left."""
        for index in peer.offered:
            del self._offers[peer.node, index]
        self._sends -= len(peer.sending)
        self._quiet.pop(peer.node, None)

    def expire(self, peers: Mapping[NodeId, PeerRecord], now: float) -> None:
        """Take back what was not answered in time."""
        silent: dict[NodeId, PeerRecord] = {}
        for (node, index), at in list(self._offers.items()):
            if now < at + self._policy.offer_seconds:
                break
            silent[node] = peers[node]
            self.take_back(peers[node], index)
        for peer in silent.values():
            wait = self._policy.offer_seconds * (1 << peer.silences)
            peer.quiet_until = now + min(wait, _LONGEST_QUIET_SECONDS)
            peer.silences = min(peer.silences + 1, _MOST_SILENCES)
        self._quiet |= silent
        for node in [node for node, peer in self._quiet.items() if peer.quiet_until <= now]:
            del self._quiet[node]

    def next_timer(self, now: float) -> float:
        """When `expire`, or another look for whom to offer to, is due."""
        due = float("inf")
        if self._offers:
            due = next(iter(self._offers.values())) + self._policy.offer_seconds
        for peer in self._quiet.values():
            if now < peer.quiet_until < due:
                due = peer.quiet_until
        return due
