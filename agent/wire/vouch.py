"""`Vouch`: a node's signed word that a chunk of a blob has a certain BLAKE3-256.

Given by whoever read the chunk from the registry, or holds the whole verified blob. It travels with the chunk, so that
a chunk can be passed on the moment it is verified, before the tracker's map has reached everyone; and it is evidence:
a voucher whose word turns out false has signed its own ban. The whole-blob digest decides in the end, always.
"""

from dataclasses import dataclass
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from agent.content.digest import Digest
from agent.wire.node_id import NODE_ID, NodeId
from agent.wire.shape import Shape, octets, record

CHUNK_DIGEST_BYTES = 32
SIGNATURE_BYTES = 64


@dataclass(frozen=True, slots=True)
class Vouch:
    """`chunk` is the BLAKE3-256 of the chunk's bytes, `node` who says so, `signature` its Ed25519 signature."""

    chunk: bytes
    node: NodeId
    signature: bytes


VOUCH: Shape[Vouch] = record(
    Vouch,
    octets(CHUNK_DIGEST_BYTES, exactly=CHUNK_DIGEST_BYTES),
    NODE_ID,
    octets(SIGNATURE_BYTES, exactly=SIGNATURE_BYTES),
)


class Notary(Protocol):
    """Gives and checks vouches; the daemon signs (NodeKey), a simulation need not."""

    def vouch(self, blob: Digest, size: int, index: int, chunk: bytes) -> Vouch: ...

    def is_valid(self, vouch: Vouch, blob: Digest, size: int, index: int) -> bool: ...


def _statement(cluster: str, blob: Digest, size: int, index: int, chunk: bytes) -> bytes:
    return f"shoal chunk 1\n{cluster}\n{blob}\n{size}\n{index}\n".encode() + chunk


def is_signed_by(node: NodeId, statement: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(node).verify(signature, statement)
    except (InvalidSignature, ValueError):
        return False
    return True


class NodeKey:
    """A node's signing key, within one cluster."""

    def __init__(self, private: Ed25519PrivateKey, cluster: str) -> None:
        self._private = private
        self._cluster = cluster
        self.node = NodeId(private.public_key().public_bytes_raw())

    @classmethod
    def from_seed(cls, seed: bytes, cluster: str) -> "NodeKey":
        """`seed`: the 32 bytes of an RFC 8032 private key."""
        return cls(Ed25519PrivateKey.from_private_bytes(seed), cluster)

    def sign(self, statement: bytes) -> bytes:
        """Statements of each kind begin with a word of their own, so that none can be taken for another."""
        return self._private.sign(statement)

    def vouch(self, blob: Digest, size: int, index: int, chunk: bytes) -> Vouch:
        return Vouch(chunk, self.node, self.sign(_statement(self._cluster, blob, size, index, chunk)))

    def is_valid(self, vouch: Vouch, blob: Digest, size: int, index: int) -> bool:
        statement = _statement(self._cluster, blob, size, index, vouch.chunk)
        return is_signed_by(vouch.node, statement, vouch.signature)
