"""`Arrivals`: the chunks on their way to this node, from whom and since when, and those whose bytes are being checked.

Usually a chunk has one source. A late one may get a second; then the same digest is expected of both, and one may still
be sending while the bytes of the other are checked: such a chunk counts as being checked.
"""

from dataclasses import dataclass, field

from agent.wire.node_id import NodeId

_NEVER = float("inf")


@dataclass(slots=True)
class Arrival:
    """expected: the chunk's BLAKE3-256. sources: who sends it, since when."""

    expected: bytes
    sources: dict[NodeId, float] = field(default_factory=dict)


class Arrivals:
    def __init__(self) -> None:
        self._incoming: dict[int, Arrival] = {}
        self._checking: dict[int, set[NodeId]] = {}
        self._bits = 0

    @property
    def incoming(self) -> int:
        """How many chunks are on their way."""
        return len(self._incoming)

    @property
    def bits(self) -> int:
        """All chunks that are on their way or being checked."""
        return self._bits

    def is_incoming(self, index: int) -> bool:
        return index in self._incoming

    def is_checking(self, index: int) -> bool:
        return index in self._checking

    def is_from(self, index: int, node: NodeId) -> bool:
        arrival = self._incoming.get(index)
        return arrival is not None and node in arrival.sources

    def expected(self, index: int) -> bytes | None:
        """What an incoming chunk must hash to."""
        arrival = self._incoming.get(index)
        return None if arrival is None else arrival.expected

    def start(self, index: int, node: NodeId, expected: bytes, now: float) -> None:
        self._incoming.setdefault(index, Arrival(expected)).sources[node] = now
        self._bits |= 1 << index

    def drop(self, index: int, node: NodeId) -> None:
        """`node` does not send it any more."""
        arrival = self._incoming.get(index)
        if arrival is not None:
            arrival.sources.pop(node, None)
            if not arrival.sources:
                del self._incoming[index]
                self._clear(index)

    def check(self, index: int, node: NodeId) -> None:
        """All of it is here, from `node`."""
        if self.is_from(index, node):
            self._checking.setdefault(index, set()).add(node)
            self.drop(index, node)

    def fail(self, index: int, node: NodeId) -> None:
        """What `node` sent of it did not verify."""
        senders = self._checking.get(index)
        if senders is not None:
            senders.discard(node)
            if not senders:
                del self._checking[index]
                self._clear(index)

    def unwritten(self, index: int) -> None:
        self._checking.pop(index, None)
        self._clear(index)

    def end(self, index: int) -> list[NodeId]:
        """It is here, or not needed. Returns who still sends it."""
        self._checking.pop(index, None)
        arrival = self._incoming.pop(index, None)
        self._clear(index)
        return [] if arrival is None else list(arrival.sources)

    def late(self, late_seconds: float, now: float) -> int:
        """Incoming chunks with a single source that takes longer than `late_seconds`, as bits."""
        bits = 0
        for index, since in self._single():
            if since + late_seconds <= now:
                bits |= 1 << index
        return bits

    def next_late(self, late_seconds: float, now: float) -> float:
        """When the next one becomes late."""
        return min(
            (since + late_seconds for _, since in self._single() if since + late_seconds > now),
            default=_NEVER,
        )

    def _clear(self, index: int) -> None:
        if index not in self._incoming and index not in self._checking:
            self._bits &= ~(1 << index)

    def _single(self) -> list[tuple[int, float]]:
        return [
            (index, next(iter(arrival.sources.values())))
            for index, arrival in self._incoming.items()
            if len(arrival.sources) == 1 and index not in self._checking
        ]
