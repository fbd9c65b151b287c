"""`ChunkSet`: a set of chunk indices as bits of one int: 1,000 chunks are 125 bytes, on the wire and in memory.

Immutable, like frozenset; the operators are set algebra. Wire form: little-endian bytes, chunk 0 is bit 0 of byte 0.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_BITS_OF_BYTE = tuple(tuple(bit for bit in range(8) if byte >> bit & 1) for byte in range(256))


@dataclass(frozen=True, slots=True)
class ChunkSet:
    bits: int = 0

    @classmethod
    def of(cls, indices: Iterable[int]) -> "ChunkSet":
        """Costs what the indices are and how far the last one lies, not the product. Raises ValueError below 0."""
        members = list(indices)
        if len(members) < 8:
            bits = 0
            for index in members:
                bits |= 1 << index
            return cls(bits)
        if min(members) < 0:
            raise ValueError("negative chunk index")
        data = bytearray(max(members) // 8 + 1)
        for index in members:
            data[index >> 3] |= 1 << (index & 7)
        return cls(int.from_bytes(data, "little"))

    @classmethod
    def full(cls, count: int) -> "ChunkSet":
        """Every chunk of a blob of `count` chunks."""
        return cls((1 << count) - 1)

    @classmethod
    def run(cls, start: int, stop: int) -> "ChunkSet":
        """The chunks start, ..., stop - 1."""
        return cls(((1 << max(stop - start, 0)) - 1) << start)

    @classmethod
    def from_bytes(cls, data: bytes, count: int) -> "ChunkSet":
        """Parse the wire form; raises ValueError where it names a chunk past `count`."""
        bits = int.from_bytes(data, "little")
        if bits.bit_length() > count:
            raise ValueError(f"chunk {bits.bit_length() - 1} of {count}")
        return cls(bits)

    def to_bytes(self) -> bytes:
        return self.bits.to_bytes((self.bits.bit_length() + 7) // 8, "little")

    def add(self, index: int) -> "ChunkSet":
        return ChunkSet(self.bits | 1 << index)

    def discard(self, index: int) -> "ChunkSet":
        return ChunkSet(self.bits & ~(1 << index))

    def first_missing(self, start: int = 0) -> int:
        """The smallest index >= start that is not in the set: the end of the contiguous run from `start`."""
        inverted = ~(self.bits >> start)
        return start + (inverted & -inverted).bit_length() - 1

    def __or__(self, other: "ChunkSet") -> "ChunkSet":
        return ChunkSet(self.bits | other.bits)

    def __and__(self, other: "ChunkSet") -> "ChunkSet":
        return ChunkSet(self.bits & other.bits)

    def __sub__(self, other: "ChunkSet") -> "ChunkSet":
        return ChunkSet(self.bits & ~other.bits)

    def __contains__(self, index: int) -> bool:
        return index >= 0 and bool(self.bits >> index & 1)

    def __len__(self) -> int:
        return self.bits.bit_count()

    def __bool__(self) -> bool:
        return self.bits != 0

    def __iter__(self) -> Iterator[int]:
        """Ascending."""
        for at, byte in enumerate(self.to_bytes()):
            if byte:
                for bit in _BITS_OF_BYTE[byte]:
                    yield at * 8 + bit
