"""How many neighbours a node seeks in a swarm: more of them in a large one. Policy.

News goes to each of them, which costs real nodes processor time, so there are few. What is lost with few is lost
between a sender with a free slot, whose neighbours are all busy, and a receiver elsewhere of whom that is true as well;
the more nodes, the longer a chunk's way and the more often that happens on it. So beyond some 1,000 nodes each has half
as many again, and beyond some 3,000 twice as many. Where a node has one transfer at a time, and of few chunks, it finds
a match less often, and there is little news: three times as many (docs/policies.md).
"""

from agent.content.chunk_map import ChunkMap

_LARGE_SWARM, _VERY_LARGE_SWARM = 1000, 3000
_TIMES_FOR_COARSE = 3


def neighbours_sought(usual: int, participants: int, chunks: ChunkMap | None) -> int:
    """`usual`: in a swarm of some hundreds. participants: the nodes in this swarm, as the tracker last said. chunks:
    None while nobody knows."""
    if chunks is not None and chunks.is_coarse:
        return usual * _TIMES_FOR_COARSE
    if participants > _VERY_LARGE_SWARM:
        return usual * 2
    return usual if participants <= _LARGE_SWARM else usual + usual // 2
