"""`Tracker`: the whole of the pure tracker, for the server and for simulations alike.

Events in, answers out; `now` is any clock that only goes forward. The caller calls `on_timer` when `next_timer` says.
"""

import random
from collections.abc import Callable
from dataclasses import replace

from agent.content.chunk_map import ChunkMap
from agent.content.errors import InputError
from agent.wire.node_id import short
from agent.wire.push_calls import (
    Find,
    FindAnswer,
    Names,
    NamesAnswer,
    Publish,
    PublishAnswer,
    Replicate,
    ReplicateAnswer,
)
from agent.wire.tracker_calls import Announce, AnnounceAnswer, Resolve, ResolveAnswer, Resolved
from tracker.directory.address_policy import AddressPolicy
from tracker.directory.directory import Directory
from tracker.directory.events import Counters, Event, Journal
from tracker.directory.pushed_names import PushedNames
from tracker.directory.replication import Replication
from tracker.directory.tags import Tags

_LATE_SECONDS = 2.0  # a timer so late says that we were held up, not that everybody else died


class Tracker:
    def __init__(
        self,
        cluster: str,
        rng: random.Random,
        address_policy: AddressPolicy | None = None,
        cut: Callable[[int], ChunkMap] = ChunkMap.of,
    ) -> None:
        """`cut`: how a blob of a given size is cut into chunks; another one is for simulations alone."""
        self._cluster = cluster
        self._journal = Journal()
        self._expected_at: float | None = None
        self.directory = Directory(self._journal, rng, address_policy or AddressPolicy(), cut)
        self.tags = Tags(self._journal.counters, rng)
        self.pushed = PushedNames(self._journal)
        self._replication = Replication(self.directory, rng)

    @property
    def counters(self) -> Counters:
        return self._journal.counters

    def take_events(self) -> list[Event]:
        """What happened since the last time, a log line each."""
        return self._journal.take_events()

    def on_announce(self, call: Announce, source_host: str, now: float) -> AnnounceAnswer:
        """`source_host`: the IP address that the call came from, "" for a Unix socket. Raises InputError."""
        self._check_caller(call)
        answer = self.directory.on_announce(call, source_host, now)
        orders = self._replication.orders_for(call.node, now)
        return replace(answer, fetch=orders) if orders else answer

    def on_resolve(self, call: Resolve, now: float) -> ResolveAnswer:
        """Raises InputError."""
        self._check_caller(call)
        return self.tags.on_resolve(call, now)

    def on_resolved(self, call: Resolved, now: float) -> bool:
        """Raises InputError."""
        self._check_caller(call)
        return self.tags.on_resolved(call, now)

    # Each raises InputError. `now_unix`: seconds since the epoch, since these times outlive the tracker.

    def on_publish(self, call: Publish, now_unix: float) -> PublishAnswer:
        self._check_caller(call)
        return self.pushed.on_publish(call, now_unix)

    def on_find(self, call: Find) -> FindAnswer:
        self._check_caller(call)
        return self.pushed.on_find(call)

    def on_names(self, call: Names) -> NamesAnswer:
        self._check_caller(call)
        return self.pushed.on_names(call)

    def on_replicate(self, call: Replicate, now: float) -> ReplicateAnswer:
        self._check_caller(call)
        return self._replication.on_replicate(call, now)

    @property
    def next_timer(self) -> float | None:
        return self.directory.next_timer

    def on_timer(self, now: float) -> None:
        if self._expected_at is not None and now - self._expected_at > _LATE_SECONDS:
            self.directory.extend_all(now)
        self.directory.expire(now)
        self._expected_at = None

    def expect_timer(self, at: float) -> None:
        """The caller means to call `on_timer` then. Much later than that, nobody is taken for dead at once."""
        self._expected_at = at

    def _check_caller(self, call: Announce | Resolve | Resolved | Publish | Find | Names | Replicate) -> None:
        if call.cluster != self._cluster:
            self.counters.refused_calls += 1
            raise InputError(
                f"this tracker serves the cluster {self._cluster!r}, not {call.cluster[:100]!r}: "
                "check security.cluster of the node"
            )
        if not isinstance(call, Announce) and self.directory.bans.is_banned(call.node):
            self.counters.refused_calls += 1
            raise InputError(f"node {short(call.node)} is banned")
