"""The calls to the tracker: `announce` and `resolve`, as msgpack bodies of HTTP POSTs.

`announce` says what changed at a node since the last one, all its swarms in one call, and is answered with peers,
leases, chunk digests and when to call again. State at the tracker is soft: where it does not know the node it answers
`resync`, and the node tells everything again. `resolve` settles one tag for the whole cluster.
"""

from dataclasses import dataclass
from typing import TypeVar

from agent.content.chunk_map import LARGEST_CHUNK_BYTES
from agent.content.digest import Digest
from agent.wire.node_id import NODE_ID, NodeId
from agent.wire.shape import (
    DIGEST,
    FLAG,
    Shape,
    listing,
    note,
    octets,
    optional,
    pack,
    record,
    seconds,
    text,
    uint,
    unpack,
)
from agent.wire.vouch import CHUNK_DIGEST_BYTES

T = TypeVar("T")

MAX_CALL_BYTES = 16 * 1024 * 1024
MAX_INLINE_BYTES = 64 * 1024  # content up to this size travels inside the tracker's answers
_MAX_SWARMS = 50_000
_MAX_CLAIMS = 1 << 17  # some 5 MB; a layer of 100 GB has 25,600 chunks


@dataclass(frozen=True, slots=True)
class Claim:
    """This chunk has this BLAKE3-256, says whoever sends it."""

    index: int
    chunk: bytes


@dataclass(frozen=True, slots=True)
class LeaseReport:
    """A lease that this node holds: the chunks start, ..., stop - 1, of which those before `next` are done.

    progress_bytes: what has come in of it so far; on a slow line it shows progress where `next` stands still.
    """

    lease: int
    start: int
    stop: int
    next: int
    progress_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A peer that misbehaved here. `index` is the chunk where there was one."""

    node: NodeId
    index: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class SwarmReport:
    """What changed in one swarm of this node.

    have: the ChunkSet of verified chunks, None where unchanged (or the size is not known yet). complete: the whole
    verified blob is here (then `have` is left out). leases_wanted: how many leases it would hold at once, those it has
    included. leases: all it holds, a finished one once more (next == stop); what is not listed twice is taken as given
    up. cursor: how much of the tracker's list of claims it knows; opaque, 0 at first. source: the registry that its
    leases would read. refused: that registry refuses this node. throttled_seconds: that registry asked for patience.
    body: the whole content, where it is small. left: out of this swarm. no_ranges: that registry ignores ranges here.
    """

    digest: Digest
    size: int | None
    have: bytes | None = None
    complete: bool = False
    leases_wanted: int = 0
    cursor: int = 0
    source: str = ""
    leases: tuple[LeaseReport, ...] = ()
    claims: tuple[Claim, ...] = ()
    suspicions: tuple[Suspicion, ...] = ()
    refused: bool = False
    throttled_seconds: float | None = None
    peers_wanted: int = 0
    starving: bool = False
    body: bytes | None = None
    left: bool = False
    no_ranges: bool = False


@dataclass(frozen=True, slots=True)
class Announce:
    """`address`: where this node's peer link listens (`host:port`). full: this tells everything, forget what was."""

    cluster: str
    node: NodeId
    name: str
    address: str
    zone: str
    rack: str
    full: bool
    swarms: tuple[SwarmReport, ...]
    leaving: bool = False


@dataclass(frozen=True, slots=True)
class PeerAddress:
    """across: it is in another zone: link with it whatever links there are. take_only: send it nothing: its zone brings
    it that. The last word counts: a zone changes while a blob comes."""

    node: NodeId
    address: str
    complete: bool
    take_only: bool = False
    across: bool = False


@dataclass(frozen=True, slots=True)
class Lease:
    """Read the chunks start, ..., stop - 1 from the registry; progress is due within `seconds`.

    A size that is not known yet is a lease of the chunks 0, ..., 0 (stop 0): read all of it. check: read them though
    they may be here already, and claim what the registry says: two nodes disagree about them.
    """

    lease: int
    start: int
    stop: int
    seconds: float
    check: bool = False


@dataclass(frozen=True, slots=True)
class SwarmAnswer:
    """size: as the cluster knows it. participants: nodes in this swarm. cursor: of the list of claims, after these.
    claims: news for this node; a later one replaces an earlier one of the same chunk.

    pause_seconds: the registry asked the cluster for patience. body: the whole content, where it is small and known.
    ended_leases: leases of this node that have run out or were never given; stop reading for them.
    """

    digest: Digest
    size: int | None
    participants: int
    peers: tuple[PeerAddress, ...] = ()
    leases: tuple[Lease, ...] = ()
    claims: tuple[Claim, ...] = ()
    cursor: int = 0
    pause_seconds: float = 0.0
    body: bytes | None = None
    ended_leases: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class FetchOrder:
    """Fetch this manifest or index of the cluster's own images with all that it names: a push waits for a copy here.
    name: the tag that it is about to get, or its digest.
    """

    repository: str
    name: str
    digest: Digest
    size: int


@dataclass(frozen=True, slots=True)
class AnnounceAnswer:
    """Call again after `interval_seconds`. resync: this tracker does not know you, tell everything."""

    interval_seconds: float
    resync: bool
    nodes: int
    swarms: tuple[SwarmAnswer, ...] = ()
    banned: tuple[NodeId, ...] = ()
    fetch: tuple[FetchOrder, ...] = ()


@dataclass(frozen=True, slots=True)
class TagRecord:
    """What a registry said of a tag: the manifest's digest, its size and media type. `age_seconds` ago."""

    digest: Digest
    size: int
    media_type: str
    age_seconds: float


@dataclass(frozen=True, slots=True)
class Resolve:
    """What is this tag now, not older than `max_age_seconds`?"""

    cluster: str
    node: NodeId
    registry: str
    repository: str
    tag: str
    max_age_seconds: float


@dataclass(frozen=True, slots=True)
class ResolveAnswer:
    """One of: a `record` (fresh enough); `lease`: you ask the registry, and report; else ask again in `retry_seconds`.

    Besides a lease or a wait, `last` is the newest known record, too old by `max_age_seconds`, if any.
    failure: what the node that asked last was told, where that was an error within the last moments; not_found: it
    was a 404.
    """

    record: TagRecord | None = None
    lease: bool = False
    retry_seconds: float = 0.0
    last: TagRecord | None = None
    failure: str = ""
    not_found: bool = False


@dataclass(frozen=True, slots=True)
class Resolved:
    """The outcome of a resolve lease. record None: not found, or failed (then `failure` says why)."""

    cluster: str
    node: NodeId
    registry: str
    repository: str
    tag: str
    record: TagRecord | None
    not_found: bool = False
    failure: str = ""


_INDEX = uint(1 << 24)
_BITMAP = octets(1 << 20)
_ADDRESS = text(300)
_CLAIM = record(Claim, _INDEX, octets(CHUNK_DIGEST_BYTES, exactly=CHUNK_DIGEST_BYTES))
_LEASE_ID = uint(1 << 62)
_SIZE = optional(uint((1 << 24) * LARGEST_CHUNK_BYTES))
_BODY = optional(octets(MAX_INLINE_BYTES))

_SWARM_REPORT = record(
    SwarmReport,
    DIGEST,
    _SIZE,
    optional(_BITMAP),
    FLAG,
    uint(100),
    uint(),
    text(300),
    listing(record(LeaseReport, _LEASE_ID, _INDEX, _INDEX, _INDEX, uint()), 100),
    listing(_CLAIM, _MAX_CLAIMS),
    listing(record(Suspicion, NODE_ID, optional(_INDEX), note(200)), 100),
    FLAG,
    optional(seconds()),
    uint(100),
    FLAG,
    _BODY,
    FLAG,
    FLAG,
)
ANNOUNCE: Shape[Announce] = record(
    Announce,
    text(100),
    NODE_ID,
    text(),
    _ADDRESS,
    text(),
    text(),
    FLAG,
    listing(_SWARM_REPORT, _MAX_SWARMS),
    FLAG,
)
PEER_ADDRESS: Shape[PeerAddress] = record(PeerAddress, NODE_ID, _ADDRESS, FLAG, FLAG, FLAG)
_SWARM_ANSWER = record(
    SwarmAnswer,
    DIGEST,
    _SIZE,
    uint(),
    listing(PEER_ADDRESS, 100),
    listing(record(Lease, _LEASE_ID, _INDEX, _INDEX, seconds(), FLAG), 100),
    listing(_CLAIM, _MAX_CLAIMS),
    uint(),
    seconds(),
    _BODY,
    listing(_LEASE_ID, 100),
)
_FETCH_ORDER = record(FetchOrder, text(), text(200), DIGEST, uint(1 << 40))
ANNOUNCE_ANSWER: Shape[AnnounceAnswer] = record(
    AnnounceAnswer,
    seconds(),
    FLAG,
    uint(),
    listing(_SWARM_ANSWER, _MAX_SWARMS),
    listing(NODE_ID, 1000),
    listing(_FETCH_ORDER, 100),
)
_TAG_RECORD = record(TagRecord, DIGEST, uint(1 << 40), text(200), seconds())
RESOLVE: Shape[Resolve] = record(Resolve, text(100), NODE_ID, text(), text(), text(), seconds())
RESOLVE_ANSWER: Shape[ResolveAnswer] = record(
    ResolveAnswer, optional(_TAG_RECORD), FLAG, seconds(), optional(_TAG_RECORD), note(500), FLAG
)
RESOLVED: Shape[Resolved] = record(
    Resolved, text(100), NODE_ID, text(), text(), text(), optional(_TAG_RECORD), FLAG, note(500)
)


def encode_call(shape: Shape[T], value: T) -> bytes:
    return pack(shape.encode(value))


def decode_call(shape: Shape[T], data: bytes) -> T:
    """Raises Malformed."""
    return shape.decode(unpack(data))
