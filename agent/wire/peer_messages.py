"""The messages of the peer link, and their frames.

A frame is a length (4 bytes, big endian, at most MAX_FRAME_BYTES) and one msgpack array [kind, field, ...]. A CHUNK
frame is followed by `length` raw bytes, outside the frame, so that they go out by sendfile and come in straight into
their buffer; a chunk travels in segments of at most MAX_SEGMENT_BYTES, so that other frames get in between.
`channel` is the number that the *sender of the message* chose for a swarm in its INTEREST; many swarms share a link.
Kinds that we do not know are skipped.
"""

from dataclasses import dataclass
from typing import Any

from agent.content.digest import Digest
from agent.wire.node_id import NODE_ID, NodeId
from agent.wire.shape import (
    DIGEST,
    Malformed,
    Shape,
    listing,
    note,
    octets,
    optional,
    pack,
    record,
    text,
    uint,
    unpack,
)
from agent.wire.vouch import SIGNATURE_BYTES, VOUCH, Vouch

PROTOCOL_VERSION = 3  # 3: INTEREST names the zone
MAX_FRAME_BYTES = 192 * 1024  # an INTEREST with two full bitmaps, a WANT with four full lists
MAX_SEGMENT_BYTES = 256 * 1024
LENGTH_BYTES = 4
NONCE_BYTES = 32
MAX_CHUNK_BYTES = 4 * 1024 * 1024
MAX_CHUNKS = 1 << 24  # 64 TiB in chunks of 4 MiB
_MAX_BITMAP_BYTES = 48 * 1024  # 1.6 TB in chunks of 4 MiB
_MAX_INDICES = 8 * 1024
_MAX_PEERS = 64


@dataclass(frozen=True, slots=True)
class Hello:
    """First frame of either side. `nonce`: chance, for the other side to sign in its PROOF."""

    version: int
    cluster: str
    node: NodeId
    nonce: bytes


@dataclass(frozen=True, slots=True)
class Proof:
    """Second frame of either side, the dialler's first: `signature` shows that the sender is the node of its HELLO."""

    signature: bytes


@dataclass(frozen=True, slots=True)
class Interest:
    """I take part in this swarm. `have` and `want` are ChunkSets; `free` is how many transfers I can take now; `zone`
    is where I am."""

    channel: int
    digest: Digest
    size: int
    have: bytes
    want: bytes
    free: int
    zone: str = ""


@dataclass(frozen=True, slots=True)
class Have:
    """I have these chunks now, and do not want them any more."""

    channel: int
    chunks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Want:
    """Changes of what I want, which of it is urgent, and how many transfers I can take now. `have`: as in HAVE."""

    channel: int
    add: tuple[int, ...]
    drop: tuple[int, ...]
    free: int
    urgent: tuple[int, ...] = ()
    have: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Offer:
    """I would send you this chunk now; this vouches for it, None where only the tracker's map can."""

    channel: int
    index: int
    vouch: Vouch | None


@dataclass(frozen=True, slots=True)
class Request:
    """Yes to an Offer: send it."""

    channel: int
    index: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """`length` raw bytes follow: the bytes of chunk `index` from `offset` within the chunk."""

    channel: int
    index: int
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Cancel:
    """Do not send the rest of this chunk: I have it from elsewhere."""

    channel: int
    index: int


@dataclass(frozen=True, slots=True)
class Reject:
    """No to an Offer (have, taken, busy, unvouched), or to a whole INTEREST (index None: unknown, size, gone)."""

    channel: int
    index: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Leave:
    """I do not take part in this swarm any more."""

    channel: int


@dataclass(frozen=True, slots=True)
class KnownPeer:
    """`address`: where its peer link listens (`host:port`)."""

    node: NodeId
    address: str


@dataclass(frozen=True, slots=True)
class Peers:
    """Others in this swarm that I am linked to: for when the tracker is away."""

    channel: int
    known: tuple[KnownPeer, ...]


@dataclass(frozen=True, slots=True)
class Ping:
    """Nothing to say, still here."""


@dataclass(frozen=True, slots=True)
class Bye:
    """The link ends now, and why."""

    reason: str


Message = (
    Hello
    | Interest
    | Have
    | Want
    | Offer
    | Request
    | Chunk
    | Cancel
    | Reject
    | Leave
    | Peers
    | Ping
    | Bye
    | Proof
)

_CHANNEL = uint(1 << 32)
_INDEX = uint(MAX_CHUNKS)
_INDICES = listing(_INDEX, _MAX_INDICES)
_BITMAP = octets(_MAX_BITMAP_BYTES)
_SLOTS = uint(1000)

# The kind's number is the position; numbers are never reused.
_SHAPES: tuple[tuple[type[Message], Shape[Any]], ...] = (
    (Hello, record(Hello, uint(1 << 16), text(100), NODE_ID, octets(NONCE_BYTES, exactly=NONCE_BYTES))),
    (Interest, record(Interest, _CHANNEL, DIGEST, uint(), _BITMAP, _BITMAP, _SLOTS, text(200))),
    (Have, record(Have, _CHANNEL, _INDICES)),
    (Want, record(Want, _CHANNEL, _INDICES, _INDICES, _SLOTS, _INDICES, _INDICES)),
    (Offer, record(Offer, _CHANNEL, _INDEX, optional(VOUCH))),
    (Request, record(Request, _CHANNEL, _INDEX)),
    (Chunk, record(Chunk, _CHANNEL, _INDEX, uint(MAX_CHUNK_BYTES), uint(MAX_SEGMENT_BYTES))),
    (Cancel, record(Cancel, _CHANNEL, _INDEX)),
    (Reject, record(Reject, _CHANNEL, optional(_INDEX), note(200))),
    (Leave, record(Leave, _CHANNEL)),
    (Peers, record(Peers, _CHANNEL, listing(record(KnownPeer, NODE_ID, text(300)), _MAX_PEERS))),
    (Ping, record(Ping)),
    (Bye, record(Bye, note(200))),
    (Proof, record(Proof, octets(SIGNATURE_BYTES, exactly=SIGNATURE_BYTES))),
)
_KIND_OF = {kind: number for number, (kind, _) in enumerate(_SHAPES)}


def encode_frame(message: Message) -> bytes:
    """The whole frame, length included. (A CHUNK's raw bytes are the caller's to send after it.)"""
    number = _KIND_OF[type(message)]
    body = pack([number, *_SHAPES[number][1].encode(message)])
    if len(body) > MAX_FRAME_BYTES:
        raise ValueError(f"{type(message).__name__} frame of {len(body)} bytes")
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def frame_length(header: bytes | bytearray | memoryview) -> int:
    """The body's length from the 4 bytes before it. Raises Malformed where it is over the cap."""
    length = int.from_bytes(header, "big")
    if not 0 < length <= MAX_FRAME_BYTES:
        raise Malformed(f"frame of {length} bytes: 1 to {MAX_FRAME_BYTES} are allowed")
    return length


def decode_body(body: bytes | bytearray | memoryview) -> Message | None:
    """The message in a frame's body; None for a kind that we do not know. Raises Malformed."""
    value = unpack(body)
    if type(value) is not list or not value or type(value[0]) is not int or value[0] < 0:
        raise Malformed("a frame is a list that starts with its kind")
    if value[0] >= len(_SHAPES):
        return None
    message: Message = _SHAPES[value[0]][1].decode(value[1:])
    return message
