"""`Blob`: content as a simulation knows it: the digest, the cut, and what each chunk's BLAKE3-256 is (no bytes).

`PlainNotary` signs without cryptography: half a million signatures would take minutes, and say nothing about time.
"""

from dataclasses import dataclass

from agent.content.chunk_map import ChunkMap
from agent.content.digest import Digest
from agent.wire.node_id import NodeId
from agent.wire.tracker_calls import MAX_INLINE_BYTES
from agent.wire.vouch import Vouch


@dataclass(frozen=True, slots=True, eq=False)
class Blob:
    """truth: the right BLAKE3-256 of every chunk, as far as the simulation goes. body: where it is so small that it
    travels inside the tracker's answers, which check it. first: how many chunks the blobs before it have."""

    digest: Digest
    chunks: ChunkMap
    truth: tuple[bytes, ...]
    body: bytes | None
    first: int

    @classmethod
    def numbered(cls, number: int, chunks: ChunkMap, first: int) -> "Blob":
        truth = tuple((number << 32 | index).to_bytes(32, "big") for index in range(chunks.count))
        if chunks.size <= MAX_INLINE_BYTES:
            body = number.to_bytes(chunks.size, "big") if chunks.size >= 8 else bytes(chunks.size)
            return cls(Digest.of(body), chunks, truth, body, first)
        return cls(Digest("sha256", f"{number + 1:064x}"), chunks, truth, None, first)


class PlainNotary:
    """A signature is the node's id."""

    __slots__ = ("_node",)

    def __init__(self, node: NodeId) -> None:
        self._node = node

    def vouch(self, blob: Digest, size: int, index: int, chunk: bytes) -> Vouch:  # noqa: ARG002
        return Vouch(chunk, self._node, self._node)

    def is_valid(self, vouch: Vouch, blob: Digest, size: int, index: int) -> bool:  # noqa: ARG002
        return vouch.signature == vouch.node
