"""`Bans`: which nodes are left out of everything for a while, and the suspicions that lead there.

A ban on suspicion needs the word of two distinct nodes, or of one where the cluster has three nodes or fewer (there is
hardly anybody else to ask). A proven lie needs none. Both are forgotten after an hour.
"""

from dataclasses import dataclass

from agent.wire.node_id import NodeId

BAN_SECONDS = 3600.0
_SMALL_CLUSTER_NODES = 3
_MAX_SUSPECTS = 10_000
_MAX_REPORTERS = 8


@dataclass(frozen=True, slots=True)
class Ban:
    until: float
    reason: str


class Bans:
    def __init__(self) -> None:
        self._bans: dict[NodeId, Ban] = {}  # in the order of their end
        self._suspects: dict[NodeId, dict[NodeId, float]] = {}

    def is_banned(self, node: NodeId) -> bool:
        return node in self._bans

    def suspect(self, suspect: NodeId, reporter: NodeId, nodes: int, now: float) -> bool:
        """Notes a suspicion; whether it suffices for a ban in a cluster of `nodes`."""
        reporters = self._suspects.setdefault(suspect, {})
        if len(reporters) < _MAX_REPORTERS:
            reporters[reporter] = now
        while len(self._suspects) > _MAX_SUSPECTS:
            del self._suspects[next(iter(self._suspects))]
        fresh = sum(now - at < BAN_SECONDS for at in reporters.values())
        return fresh >= (1 if nodes <= _SMALL_CLUSTER_NODES else 2)

    def ban(self, node: NodeId, reason: str, now: float) -> None:
        self._bans.pop(node, None)
        self._bans[node] = Ban(now + BAN_SECONDS, reason)
        self._suspects.pop(node, None)

    def expire(self, now: float) -> list[NodeId]:
        """The nodes whose ban is over."""
        over = []
        for node, ban in self._bans.items():
            if ban.until > now:
                break
            over.append(node)
        for node in over:
            del self._bans[node]
        return over

    @property
    def next_timer(self) -> float | None:
        return next(iter(self._bans.values())).until if self._bans else None

    def items(self) -> list[tuple[NodeId, Ban]]:
        return list(self._bans.items())
