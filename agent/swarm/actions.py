"""What the swarm machine asks of its caller. Every event returns a list of these, in order; performing them is I/O and
happens elsewhere (agent.node in the daemon, the simulator in a simulation)."""

from dataclasses import dataclass

from agent.content.chunk_set import ChunkSet
from agent.wire.node_id import NodeId
from agent.wire.vouch import Vouch


@dataclass(frozen=True, slots=True)
class Offer:
    """Ask `peer` whether to send it this chunk."""

    peer: NodeId
    index: int
    vouch: Vouch | None


@dataclass(frozen=True, slots=True)
class Request:
    """Accept `peer`'s offer: get a buffer ready. `expected` is the chunk's BLAKE3-256."""

    peer: NodeId
    index: int
    expected: bytes


@dataclass(frozen=True, slots=True)
class Reject:
    """Decline `peer`'s offer or request. With the reason "gone": break off what is being sent of this chunk, its bytes
    turned out wrong."""

    peer: NodeId
    index: int
    reason: str


@dataclass(frozen=True, slots=True)
class Send:
    """Send this chunk to `peer`; report on_sent, or on_leave if the link dies."""

    peer: NodeId
    index: int


@dataclass(frozen=True, slots=True)
class Cancel:
    """Tell `peer` that the chunk it sends is not needed any more, and drop what still comes of it."""

    peer: NodeId
    index: int


@dataclass(frozen=True, slots=True)
class Tell:
    """Tell every peer of this swarm: have these now; want `add`, no longer `drop`; can take `free` transfers."""

    have: ChunkSet
    add: ChunkSet
    drop: ChunkSet
    free: int
    urgent: ChunkSet


@dataclass(frozen=True, slots=True)
class TellOne:
    """Tell this peer alone."""

    peer: NodeId
    news: Tell


@dataclass(frozen=True, slots=True)
class Forget:
    """These chunks turned out wrong: throw their bytes away."""

    chunks: ChunkSet


@dataclass(frozen=True, slots=True)
class Ban:
    """`node` misbehaved: end the link with it, take none again, tell the tracker.

    `index` is the chunk, if there was one.
    """

    node: NodeId
    index: int | None
    reason: str


Action = Offer | Request | Reject | Send | Cancel | Tell | TellOne | Forget | Ban
