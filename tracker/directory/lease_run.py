"""How many adjacent chunks one lease covers. Policy.

A lone node reads long runs, few requests in all; many nodes read short ones, so that the first copies spread over many
uplinks. Whoever calls first looks alone for a moment: its runs start short and double, so that it has not taken the
whole blob when the others call. A blob of a few chunks is read in one go. Where the registry counts requests and has
refused some, they are what is short, and each is for as much more as it takes (budget.py).
"""

from agent.content.chunk_map import ChunkMap

_LONGEST_RUN_BYTES = 32 * 1024 * 1024
_FIRST_RUN_BYTES = 1024 * 1024
_MOST_DOUBLINGS = 5
_SHARE_OF_BLOB = 4  # at most this part of the blob to one lease, so that four can run
_FEW_CHUNKS = 4


def run_chunks(chunks: ChunkMap, sharers: int, granted: int, stretch: float = 1.0) -> int:
    """At least 1. `sharers`: the nodes that want this blob now. `granted`: leases of it that this node has had.
    stretch: how many times longer than usual."""
    if chunks.count <= _FEW_CHUNKS:
        return _FEW_CHUNKS
    share_bytes = min(_LONGEST_RUN_BYTES, chunks.size // _SHARE_OF_BLOB) // max(sharers, 1)
    ramp_bytes = _FIRST_RUN_BYTES << min(granted, _MOST_DOUBLINGS)
    usual = max(min(share_bytes, ramp_bytes) // chunks.chunk_bytes, 1)
    return max(min(int(usual * stretch), chunks.count // _SHARE_OF_BLOB), usual)


def first_leases(granted: int, wanted: int) -> int:
    """How many leases one call may bring: one at first, for the same reason."""
    return wanted if granted else min(wanted, 1)
