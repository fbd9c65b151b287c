"""`Replication`: pushes that are to be held by several nodes, and who is asked to fetch them. Policy and state, soft.

Whoever pushed asks again and again until enough nodes hold all of it; in between the chosen ones are told with the
answers to their announces, and whoever pushed is told who they are, and can make them call. A node that was asked and
does not bring it in time is replaced by another.
"""

import random
from dataclasses import dataclass, field

from agent.content.digest import Digest
from agent.wire.node_id import NodeId
from agent.wire.push_calls import MAX_ASKED, Replicate, ReplicateAnswer
from agent.wire.tracker_calls import FetchOrder, PeerAddress
from tracker.directory.directory import Directory

_PATIENCE_SECONDS = 60.0
_MAX_ORDERS = 1000
_MAX_TOLD = 100


@dataclass(slots=True)
class _Order:
    fetch: FetchOrder
    renewed_at: float
    asked: dict[NodeId, float] = field(default_factory=dict)


class Replication:
    def __init__(self, directory: Directory, rng: random.Random) -> None:
        self._directory = directory
        self._rng = rng
        self._orders: dict[Digest, _Order] = {}

    def on_replicate(self, call: Replicate, now: float) -> ReplicateAnswer:
        holders = self._holders(call)
        order = self._orders.get(call.digest)
        if len(holders) >= call.wanted:
            self._orders.pop(call.digest, None)
        elif order is None and len(self._orders) < _MAX_ORDERS:
            order = self._orders[call.digest] = _Order(
                FetchOrder(call.repository, call.name, call.digest, call.size), now
            )
        if order is not None and len(holders) < call.wanted:
            order.renewed_at = now
            # Whoever pushed it has it, told or not yet.
            self._ask_more(order, holders | {call.node}, call.wanted, now)
        return ReplicateAnswer(len(holders), len(self._directory.nodes), self._asked(order, holders))

    def _asked(self, order: _Order | None, holders: set[NodeId]) -> tuple[PeerAddress, ...]:
        records = [self._directory.nodes.get(node) for node in (order.asked if order else ())]
        missing = [one for one in records if one is not None and one.node not in holders]
        return tuple(PeerAddress(one.node, one.address, False) for one in missing[:MAX_ASKED])

    def orders_for(self, node: NodeId, now: float) -> tuple[FetchOrder, ...]:
        for digest in [d for d, order in self._orders.items() if now - order.renewed_at > _PATIENCE_SECONDS]:
            del self._orders[digest]
        mine = [order.fetch for order in self._orders.values() if node in order.asked]
        return tuple(mine[:_MAX_TOLD])

    def _holders(self, call: Replicate) -> set[NodeId]:
        holders: set[NodeId] | None = None
        for digest in call.needed:
            swarm = self._directory.swarms.get(digest)
            whole = {member.node for member in swarm.complete} if swarm else set()
            holders = whole if holders is None else holders & whole
        return holders or set()

    def _ask_more(self, order: _Order, holders: set[NodeId], wanted: int, now: float) -> None:
        nodes = self._directory.nodes
        waited_for = {
            node
            for node, asked_at in order.asked.items()
            if node in nodes and now - asked_at <= _PATIENCE_SECONDS
        }
        missing = wanted - len(holders | waited_for)
        others = [node for node in nodes if node not in holders and node not in order.asked]
        for node in self._rng.sample(others, min(max(missing, 0), len(others))):
            order.asked[node] = now
