"""`Zones`: what does not go over the border to a neighbour in another zone. Policy.

A chunk that came from a zone is not sent back there: whoever sent it will spread it in its own zone. And some
neighbours are sent nothing at all, because the tracker says that their zone has somebody else who brings it that
(tracker/directory/border.py).
"""

from collections.abc import Iterable

from agent.swarm.peer_record import PeerRecord
from agent.wire.node_id import NodeId

_EVERYTHING = -1  # as bits


class Zones:
    def __init__(self) -> None:
        self._brought: dict[str, int] = {}
        self._take_only: set[NodeId] = set()

    def enter(self, peer: PeerRecord, other_zone: str) -> None:
        """A new neighbour; other_zone: "" for one in our own."""
        peer.other_zone = other_zone
        self._withhold(peer)

    def take_only(self, node: NodeId, only: bool, peer: PeerRecord | None) -> None:
        """Whether to send nothing to this node. peer: its record, where it is a neighbour already."""
        (self._take_only.add if only else self._take_only.discard)(node)
        if peer is not None:
            self._withhold(peer)

    def on_brought(self, index: int, other_zone: str, peers: Iterable[PeerRecord]) -> None:
        """A chunk came from that zone ("": our own)."""
        if other_zone:
            self._brought[other_zone] = self._brought.get(other_zone, 0) | 1 << index
            for peer in peers:
                if peer.other_zone == other_zone:
                    self._withhold(peer)

    def forget(self, bits: int, peers: Iterable[PeerRecord]) -> None:
        """These turned out to be wrong: what comes in their place is new to everybody."""
        if self._brought:
            self._brought = {zone: brought & ~bits for zone, brought in self._brought.items()}
            for peer in peers:
                self._withhold(peer)

    def _withhold(self, peer: PeerRecord) -> None:
        brought = self._brought.get(peer.other_zone, 0)
        peer.withheld = _EVERYTHING if peer.node in self._take_only else brought
