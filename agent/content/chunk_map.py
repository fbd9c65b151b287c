"""`ChunkMap`: how a blob of a given size is cut into chunks, and what is known of their BLAKE3-256 digests.

Invariant: the geometry is a pure function of the size, so that every node computes the same one.
A power of two between 64 KiB and 4 MiB: about a thousand chunks where that keeps them at 1 MiB or more, and 512 KiB or
less for blobs that would have fewer than five dozen such: a chunk costs each node milliseconds of a core, however small
it is, and few of them make a rollout long. Which chunks a node *has* is a ChunkSet.
"""

from dataclasses import dataclass
from typing import NewType

ChunkIndex = NewType("ChunkIndex", int)

_KIB = 1024
SMALLEST_CHUNK_BYTES = 64 * _KIB
LARGEST_CHUNK_BYTES = 4096 * _KIB
_USUAL_SMALLEST_BYTES = 1024 * _KIB
_USUAL_SMALLEST_COUNT = 64
_SMALL_BLOB_CHUNK_BYTES = 512 * _KIB
_SMALL_BLOB_COUNT = 32
_TARGET_COUNT = 1024
_FEW_CHUNKS = 32


def chunk_bytes_for(size: int) -> int:
    """Bytes a chunk (all but the last) of a blob of `size` bytes."""
    if size <= _USUAL_SMALLEST_BYTES * _USUAL_SMALLEST_COUNT:
        wanted = min(size // _SMALL_BLOB_COUNT, _SMALL_BLOB_CHUNK_BYTES)
        floor = SMALLEST_CHUNK_BYTES
    else:
        wanted = size // _TARGET_COUNT
        floor = _USUAL_SMALLEST_BYTES
    power = 1 << max(wanted - 1, 0).bit_length()
    return min(max(power, floor), LARGEST_CHUNK_BYTES)


@dataclass(frozen=True, slots=True)
class ChunkMap:
    """The geometry of one blob. An empty blob has no chunks."""

    size: int
    chunk_bytes: int

    @classmethod
    def of(cls, size: int) -> "ChunkMap":
        return cls(size, chunk_bytes_for(size))

    @property
    def count(self) -> int:
        return -(-self.size // self.chunk_bytes)

    @property
    def is_coarse(self) -> bool:
        """A few large chunks, as no size is cut but by hand: the way of each through all nodes is most of the time."""
        return self.count <= _FEW_CHUNKS and self.chunk_bytes >= _USUAL_SMALLEST_BYTES

    def span(self, index: int) -> tuple[int, int]:
        """(first byte, one past the last byte) of a chunk. Raises IndexError outside the blob."""
        if not 0 <= index < self.count:
            raise IndexError(f"chunk {index} of {self.count}")
        start = index * self.chunk_bytes
        return start, min(start + self.chunk_bytes, self.size)

    def length(self, index: int) -> int:
        start, stop = self.span(index)
        return stop - start

    def index_at(self, offset: int) -> int:
        """The chunk that holds the byte at `offset`."""
        return offset // self.chunk_bytes
