"""`Uploads`: a node's upload slots in one swarm: what is offered to whom next, and offers that nobody answers.

A slot is taken from the offer on until the chunk is sent or declined, so offers and sends together never exceed them.
Who leaves an offer unanswered gets none for a while, and is tried again: the offer may have been lost on the way.
"""

import random
from collections.abc import Collection, Iterable

from agent.content.chunk_set import ChunkSet
from agent.swarm.actions import Offer
from agent.swarm.choosing import choose_chunk, choose_receiver
from agent.swarm.claim_book import ClaimBook
from agent.swarm.peer_record import PeerRecord
from agent.swarm.policy import SwarmPolicy
from agent.swarm.spread import Spread

_LONGEST_QUIET_SECONDS = 30.0
_MOST_SILENCES = 10


class Uploads:
    def __init__(self, chunks: int, policy: SwarmPolicy, rng: random.Random) -> None:
        """chunks: all of the blob's chunks, as bits."""
        self._policy = policy
        self._rng = rng
        self._spread = Spread(chunks)

    def offer(self, peers: Collection[PeerRecord], have: int, claims: ClaimBook, now: float) -> list[Offer]:
        """Offers for the free slots, noted in the peers' records."""
        offers: list[Offer] = []
        busy = 0
        for peer in peers:
            busy += len(peer.offered) + len(peer.sending)
        while busy + len(offers) < self._policy.uploads + self._policy.ahead:
            choice = choose_receiver(peers, have, self._rng, now)
            if choice is None:
                break
            peer, bits = choice
            offered = ChunkSet.of(index for other in peers for index in other.offered).bits
            holdings = [other.have for other in peers]
            index = choose_chunk(bits, peer.urgent, offered, self._spread.levels, holdings, self._rng)
            peer.offered[index] = now
            offers.append(Offer(peer.node, index, claims.vouch_for(index)))
        return offers

    def accept(self, peer: PeerRecord, index: int) -> None:
        """The offer becomes a transfer."""
        peer.on_heard()
        peer.sending.add(index)
        peer.want &= ~(1 << index)
        peer.free = max(peer.free - 1, 0)
        self._spread.count(index)

    def finish(self, peer: PeerRecord, index: int) -> None:
        """Sent, or cancelled. The place that it took there is free again: waiting to be told so would leave a fast
        line idle for most of a batch. Where it is not, the next offer is declined, and the next WANT says so."""
        peer.sending.discard(index)
        peer.want &= ~(1 << index)
        peer.chunks_sent += 1
        peer.free = min(peer.free + 1, self._policy.downloads + self._policy.ahead)

    def expire(self, peers: Iterable[PeerRecord], now: float) -> None:
        """Take back what was not answered in time."""
        for peer in peers:
            expired = [i for i, at in peer.offered.items() if now >= at + self._policy.offer_seconds]
            for index in expired:
                del peer.offered[index]
            if expired:
                wait = self._policy.offer_seconds * (1 << peer.silences)
                peer.quiet_until = now + min(wait, _LONGEST_QUIET_SECONDS)
                peer.silences = min(peer.silences + 1, _MOST_SILENCES)

    def next_timer(self, peers: Iterable[PeerRecord], now: float) -> float:
        """When `expire`, or another look for whom to offer to, is due."""
        due = float("inf")
        for peer in peers:
            for at in peer.offered.values():
                due = min(due, at + self._policy.offer_seconds)
            if peer.quiet_until > now:
                due = min(due, peer.quiet_until)
        return due
