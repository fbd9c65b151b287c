"""Which part of a blob a node reads from the registry without a lease. Policy.

Beside neighbours, who may be reading as well, from a place of chance, and only what all of them want and nobody has:
what one of them does not want is on its way to it, or read there. And not much at a time: of long parts more would be
read twice (tracker-lost, 60 nodes, 716 chunks: places of chance and 32 MiB 1.16 copies, this 1.04).
"""

import random
from collections.abc import Iterable

from agent.content.chunk_map import ChunkMap
from agent.content.chunk_set import ChunkSet
from agent.swarm.peer_record import PeerRecord

_PART_BYTES = 16 * 1024 * 1024


def part_beside_others(
    missing: ChunkSet, peers: Iterable[PeerRecord], chunks: ChunkMap, rng: random.Random
) -> tuple[int, int]:
    """The chunks start, ..., stop - 1 of `missing`, which is not empty."""
    wanted, held = missing.bits, 0
    for peer in peers:
        wanted &= peer.want
        held |= peer.have
    candidates = ChunkSet(wanted) or ChunkSet(missing.bits & ~held) or missing
    return _run(candidates, rng.choice(list(candidates)), max(_PART_BYTES // chunks.chunk_bytes, 1))


def part_alone(missing: ChunkSet, chunks: ChunkMap, *, has_tracker: bool) -> tuple[int, int]:
    """From the beginning. Without a tracker nobody else will ever read any of it: all in one go."""
    most = max(_PART_BYTES // chunks.chunk_bytes, 1) if has_tracker else chunks.count
    return _run(missing, next(iter(missing)), most)


def _run(candidates: ChunkSet, start: int, most: int) -> tuple[int, int]:
    stop = start + 1
    while stop in candidates and stop - start < most:
        stop += 1
    return start, stop
