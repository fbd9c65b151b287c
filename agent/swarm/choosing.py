"""Who gets the next free upload slot, and with which chunk: the holder decides.

The neighbour with the fewest transfers running comes first (most room, then least served by us), and gets, of what
it wants, the chunk that we have sent least; ties go to the rarest around us, then to chance. Sending each chunk once
before any twice is what keeps a single source from being the bottleneck: a swarm fed so is within some 10 per cent of
the fluid bound, one that fetches in order is at 3 to 5 times.
"""

import random
from collections.abc import Collection, Iterable, Sequence

from agent.swarm.peer_record import PeerRecord

_SAMPLE = 4


def choose_receiver(
    peers: Iterable[PeerRecord], have: int, rng: random.Random, now: float
) -> tuple[PeerRecord, int] | None:
    """The neighbour to serve next, and the chunks (as bits) that it could be sent; None where nobody wants anything."""
    best: PeerRecord | None = None
    best_room = best_sent = best_bits = 0
    best_chance = 0.0
    for peer in peers:
        room = peer.free - len(peer.offered)
        if room <= 0:
            continue
        bits = peer.want & have & ~peer.under_way
        if not bits or now < peer.quiet_until:
            continue
        sent = peer.chunks_sent
        if best is not None and (room < best_room or (room == best_room and sent > best_sent)):
            continue
        chance = rng.random()
        if best is None or room > best_room or sent < best_sent or chance > best_chance:
            best, best_bits, best_room, best_sent, best_chance = peer, bits, room, sent, chance
    return None if best is None else (best, best_bits)


def choose_chunk(
    bits: int,
    urgent: int,
    offered: int,
    sent_levels: Sequence[int],
    peers: Collection[PeerRecord],
    rng: random.Random,
) -> int:
    """The chunk to send out of `bits` (not empty).

    offered: what is offered to somebody just now, as bits: as good as sent. sent_levels: see spread.py.
    """
    candidates = bits & urgent or bits
    candidates = candidates & ~offered or candidates
    for level in sent_levels:
        if candidates & level:
            candidates &= level
            break
    sample = _sample(candidates, rng)
    if len(sample) == 1:
        return sample[0]
    copies = [0] * len(sample)
    for peer in peers:
        have = peer.have
        for place, index in enumerate(sample):
            copies[place] += have >> index & 1
    return sample[copies.index(min(copies))]


def _sample(bits: int, rng: random.Random) -> list[int]:
    """Up to _SAMPLE members of a bit set, starting at a random place, in an order of chance."""
    start = rng.randrange(bits.bit_length())
    picked: list[int] = []
    rest = bits >> start << start
    for part in (rest, bits ^ rest):
        while part and len(picked) < _SAMPLE:
            low = part & -part
            picked.append(low.bit_length() - 1)
            part ^= low
    rng.shuffle(picked)
    return picked
