"""`NodeRecord`: a node that the tracker has heard of lately; `Member`: that node in one swarm.

Plain state: swarm.py and directory.py keep it consistent. Both compare by identity.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.content.digest import Digest
from agent.wire.node_id import NodeId

if TYPE_CHECKING:
    from tracker.directory.lease import LeaseRecord


@dataclass(slots=True, eq=False)
class NodeRecord:
    """`source_host` is where its calls come from; `timer_at` when the directory's timer looks at it next."""

    node: NodeId
    name: str
    address: str
    zone: str
    rack: str
    source_host: str
    last_seen: float
    interval_seconds: float
    timer_at: float = 0.0
    members: dict[Digest, "Member"] = field(default_factory=dict)
    incomplete: int = 0  # how many of its swarms it has not got whole
    busy: bool = False  # its last call was about a swarm that it has not got whole


@dataclass(slots=True, eq=False)
class Member:
    """`have` are the bits of its verified chunks. granted: leases ever given to it in this swarm."""

    record: NodeRecord
    have: int = 0
    complete: bool = False
    leases: dict[int, "LeaseRecord"] = field(default_factory=dict)
    leases_wanted: int = 0
    granted: int = 0
    waiting: bool = False
    source: str = ""
    refused: bool = False
    starving_since: float | None = None
    # Members of other zones that it knows of: is it to give them nothing? (border.py)
    told: dict["Member", bool] = field(default_factory=dict)
    stalled_until: float = 0.0  # its lease ran out: others first

    @property
    def node(self) -> NodeId:
        return self.record.node
