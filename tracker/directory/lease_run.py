"""How many adjacent chunks one lease covers. Policy.

A lone node reads long runs, few requests in all; many nodes read short ones, so that the first copies spread over many
uplinks. A blob of a few chunks is read in one go.
"""

from agent.content.chunk_map import ChunkMap

_LONGEST_RUN_BYTES = 32 * 1024 * 1024
_SHARE_OF_BLOB = 4  # at most this part of the blob to one lease, so that four can run
_FEW_CHUNKS = 4


def run_chunks(chunks: ChunkMap, sharers: int) -> int:
    """At least 1. `sharers`: the nodes that want this blob now."""
    if chunks.count <= _FEW_CHUNKS:
        return _FEW_CHUNKS
    longest_bytes = min(_LONGEST_RUN_BYTES, chunks.size // _SHARE_OF_BLOB)
    return max(longest_bytes // max(sharers, 1) // chunks.chunk_bytes, 1)
