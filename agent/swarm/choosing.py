"""Who gets the next free upload slot, and with which chunk: the holder decides.

The neighbour that has least comes first, then the one with most room, then the one least served by us: who lags can
never be faster than its line, so every moment in which it waits stays with it to the end. It gets, of what it wants,
the chunk that fewest of our neighbours hold; ties go to what we have sent least ourselves, then to chance. A chunk that
has just come from the registry thus overtakes everything else on its way through the swarm, which is what the last
node's time hangs on (docs/policies.md has the candidates and their figures).
"""

import random
from collections.abc import Iterable, Sequence

from agent.swarm.peer_record import PeerRecord


def choose_receiver(
    peers: Iterable[PeerRecord], have: int, rng: random.Random, now: float
) -> tuple[PeerRecord, int] | None:
    """The neighbour to serve next, and the chunks (as bits) that it could be sent; None where nobody wants anything."""
    best: PeerRecord | None = None
    best_rank: tuple[int, int, int, float] | None = None
    best_bits = 0
    for peer in peers:
        room = peer.free - len(peer.offered)
        if room <= 0:
            continue
        bits = peer.want & have & ~(peer.under_way | peer.withheld)
        if not bits or now < peer.quiet_until:
            continue
        held = peer.have.bit_count()
        if best_rank is not None and held > best_rank[0]:
            continue
        rank = (held, -room, peer.chunks_sent, rng.random())
        if best_rank is None or rank < best_rank:
            best, best_rank, best_bits = peer, rank, bits
    return None if best is None else (best, best_bits)


def choose_chunk(
    bits: int,
    urgent: int,
    offered: int,
    sent_levels: Sequence[int],
    peers: Iterable[PeerRecord],
    rng: random.Random,
) -> int:
    """The chunk to send out of `bits` (not empty).

    offered: what is offered to somebody just now, as bits: as good as sent. sent_levels: see spread.py.
    """
    candidates = bits & urgent or bits
    candidates = candidates & ~offered or candidates
    candidates = rarest(candidates, peers)
    for level in sent_levels:
        if candidates & level:
            return _any_of(candidates & level, rng)
    return _any_of(candidates, rng)


def rarest(candidates: int, peers: Iterable[PeerRecord]) -> int:
    """Those of a bit set that fewest neighbours hold.

    All chunks are counted at once, in binary: plane k has bit k of every chunk's count, and a neighbour's holdings are
    added to the planes as to a number. That costs two or three operations on whole sets a neighbour.
    """
    planes: list[int] = []
    for peer in peers:
        carry = peer.have & candidates
        for place, plane in enumerate(planes):
            if not carry:
                break
            planes[place] = plane ^ carry
            carry &= plane
        if carry:
            planes.append(carry)
    for plane in reversed(planes):
        candidates = candidates & ~plane or candidates
    return candidates


def _any_of(bits: int, rng: random.Random) -> int:
    """A member of a bit set: the first one from a place of chance on."""
    start = rng.randrange(bits.bit_length())
    rest = bits >> start << start or bits
    return (rest & -rest).bit_length() - 1
