"""How many transfers a node has at a time in one swarm, each way. Policy.

Two share a line and fill each other's gaps; each more makes every chunk, and with it the way of the last one through
all nodes, slower. Where a blob has few chunks those ways are most of the time: then one after the other, if a chunk
takes so long that the pause between two does not matter.
As many up as down: else those who happen to have more of them leave the others behind for good, since nobody who
lags can be faster than its line (docs/policies.md).
"""

from agent.content.chunk_map import ChunkMap
from agent.swarm.policy import SwarmPolicy


def slots(policy: SwarmPolicy, chunks: ChunkMap) -> tuple[int, int]:
    """Up and down, for a blob that is cut like this."""
    if chunks.is_coarse:
        return min(policy.uploads, 1), min(policy.downloads, 1)
    return policy.uploads + policy.ahead, policy.downloads + policy.ahead
