"""`PeerRecord`: what is known of one neighbour in one swarm."""

from dataclasses import dataclass, field

from agent.wire.node_id import NodeId


@dataclass(slots=True)
class PeerRecord:
    """Bit sets are ints (bit i is chunk i).

    free: how many transfers it said it can take. offered: our offers that it has not answered, and since when.
    sending: chunks on their way to it. under_way: offered and sending together, as bits. receiving: chunks on their way
    from it. other_zone: the zone that it is in, where that is not ours. withheld: what it is not to be sent (zones.py).
    quiet_until: it left offers unanswered, so it gets none before this time, unless it is heard of; each time in a row
    (`silences`) it is for longer.
    """

    node: NodeId
    have: int
    want: int
    free: int
    urgent: int = 0
    other_zone: str = ""
    withheld: int = 0
    offered: dict[int, float] = field(default_factory=dict)
    sending: set[int] = field(default_factory=set)
    under_way: int = 0
    receiving: set[int] = field(default_factory=set)
    chunks_sent: int = 0
    chunks_received: int = 0
    quiet_until: float = 0.0
    silences: int = 0

    def on_heard(self) -> None:
        """It is alive after all."""
        self.quiet_until = 0.0
        self.silences = 0
