"""`Digest`: the name of content by its hash, as OCI writes it (`sha256:<64 hex>`).

Invariant: a Digest that exists is well formed, so paths and URLs may be built from `algorithm` and `hex`
(OCI image-spec 1.1, descriptor.md "Digests"). Chunk digests (BLAKE3) are plain `bytes` of 32; see chunk_map.
"""

import hashlib
from dataclasses import dataclass
from typing import Protocol

from agent.content.errors import InputError

_HEX_LENGTH = {"sha256": 64, "sha512": 128}
_HEX_DIGITS = frozenset("0123456789abcdef")


class Hasher(Protocol):
    """What hashlib's objects offer and we use."""

    def update(self, data: bytes | bytearray | memoryview, /) -> None: ...
    def digest(self) -> bytes: ...
    def hexdigest(self) -> str: ...
    def copy(self) -> "Hasher": ...


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    algorithm: str
    hex: str

    @classmethod
    def parse(cls, text: str) -> "Digest":
        """Raises InputError unless `text` is `sha256:` and 64 or `sha512:` and 128 lowercase hex digits."""
        algorithm, _, hex_part = text.partition(":")
        length = _HEX_LENGTH.get(algorithm)
        if length is None or len(hex_part) != length or not _HEX_DIGITS.issuperset(hex_part):
            raise InputError(
                f"invalid digest {text[:150]!r}: expected sha256:<64 lowercase hex digits> or sha512:<128>"
            )
        return cls(algorithm, hex_part)

    @classmethod
    def of(cls, data: bytes | bytearray | memoryview, algorithm: str = "sha256") -> "Digest":
        return cls(algorithm, hashlib.new(algorithm, data).hexdigest())

    def new_hasher(self) -> Hasher:
        """An empty hasher of this digest's algorithm, for checking content against it."""
        return hashlib.new(self.algorithm)

    def matches(self, hasher: Hasher) -> bool:
        return hasher.hexdigest() == self.hex

    @property
    def short(self) -> str:
        """The 12 hex digits that people know from Docker's output."""
        return self.hex[:12]

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"
