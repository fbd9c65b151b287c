"""`Event`: a change of state worth one log line, and `Journal`, which keeps them until somebody takes them.

Invariant: bounded, so a caller who never takes them (a simulation) loses the oldest and no memory.
`Counters` only grow; the caller turns them into metrics.
"""

from collections import deque
from dataclasses import dataclass, field
from enum import Enum

from agent.content.digest import Digest
from agent.wire.node_id import NodeId, short

_MAX_KEPT = 10_000


class EventKind(Enum):
    NODE_JOINED = "node joined"
    NODE_LOST = "node lost"
    NODE_LEFT = "node left"
    LEASE_EXPIRED = "lease expired"
    CONFLICT_FOUND = "conflict found"
    CONFLICT_SETTLED = "conflict settled"
    NODE_BANNED = "node banned"
    BAN_ENDED = "ban ended"
    REGISTRY_THROTTLED = "registry throttled"
    TAG_MOVED = "tag moved"
    PUSH_OUTDONE = "push outdone"


@dataclass(frozen=True, slots=True)
class Event:
    kind: EventKind
    node: NodeId | None = None
    digest: Digest | None = None
    detail: str = ""

    def fields(self) -> dict[str, str]:
        """For a structured log line."""
        named = {
            "node": short(self.node) if self.node is not None else "",
            "blob": str(self.digest) if self.digest is not None else "",
            "detail": self.detail,
        }
        return {name: value for name, value in named.items() if value}


@dataclass(slots=True)
class Counters:
    announces: int = 0
    resyncs: int = 0
    refused_calls: int = 0
    leases_granted: int = 0
    chunks_leased: int = 0
    races: int = 0
    checks: int = 0
    leases_adopted: int = 0
    leases_completed: int = 0
    leases_expired: int = 0
    leases_given_up: int = 0
    conflicts: int = 0
    conflicts_settled: int = 0
    size_conflicts: int = 0
    unusable_reports: int = 0
    bans: int = 0
    resolves: int = 0
    revalidations: int = 0


@dataclass(slots=True)
class Journal:
    counters: Counters = field(default_factory=Counters)
    _events: deque[Event] = field(default_factory=lambda: deque(maxlen=_MAX_KEPT))

    def note(
        self, kind: EventKind, node: NodeId | None = None, digest: Digest | None = None, detail: str = ""
    ) -> None:
        self._events.append(Event(kind, node, digest, detail))

    def take_events(self) -> list[Event]:
        events = list(self._events)
        self._events.clear()
        return events
