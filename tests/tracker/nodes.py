"""`FakeNode`: an agent as the tracker sees it, with as much of a mind as tests of the tracker need.

It reports what it holds, takes leases, and "reads" chunks when told to: no bytes, no network, no clock.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from agent.content.chunk_map import ChunkMap
from agent.content.digest import Digest
from agent.wire.node_id import NodeId
from agent.wire.tracker_calls import (
    Announce,
    AnnounceAnswer,
    Claim,
    Lease,
    LeaseReport,
    Suspicion,
    SwarmAnswer,
    SwarmReport,
)
from tracker.directory.tracker import Tracker

CLUSTER = "reef"
REGISTRY = "registry.example"
BLOB = Digest.of(b"a blob")
CHUNK_BYTES = 1024 * 1024
SIZE = 100 * CHUNK_BYTES  # 100 chunks
assert ChunkMap.of(SIZE).count == 100


def node_id(number: int) -> NodeId:
    return NodeId(number.to_bytes(32, "big"))


def true_chunk(index: int) -> bytes:
    return hashlib.sha256(f"chunk {index}".encode()).digest()


@dataclass(eq=False)
class FakeNode:
    """`held` and `leases` are what it really has; `answer` is what it was told last."""

    number: int
    digest: Digest = BLOB
    size: int | None = SIZE
    zone: str = ""
    rack: str = ""
    leases_wanted: int = 1
    peers_wanted: int = 0
    source: str = REGISTRY
    starving: bool = False
    refused: bool = False
    no_ranges: bool = False
    throttled_seconds: float | None = None
    body: bytes | None = None
    complete: bool = False
    held: set[int] = field(default_factory=set)
    leases: dict[int, Lease] = field(default_factory=dict)
    next: dict[int, int] = field(default_factory=dict)
    progress_bytes: int = 0
    tells_have: bool = True
    claims: dict[int, bytes] = field(default_factory=dict)
    suspicions: list[Suspicion] = field(default_factory=list)
    finished: list[Lease] = field(default_factory=list)
    heard: dict[int, bytes] = field(default_factory=dict)
    cursor: int = 0
    known: bool = False
    call_at: float = 0.0
    answer: AnnounceAnswer | None = None
    ever_leased: list[Lease] = field(default_factory=list)

    @property
    def node(self) -> NodeId:
        return node_id(self.number)

    @property
    def address(self) -> str:
        return f"10.0.{self.number // 250}.{self.number % 250 + 1}:7070"

    @property
    def host(self) -> str:
        return self.address.rpartition(":")[0]

    @property
    def swarm(self) -> SwarmAnswer:
        assert self.answer is not None
        return self.answer.swarms[0]

    def report(self) -> SwarmReport:
        bits = sum(1 << index for index in self.held)
        have = (
            None
            if self.complete or self.size is None or not self.tells_have
            else bits.to_bytes(-(-bits.bit_length() // 8), "little")
        )
        return SwarmReport(
            digest=self.digest,
            size=self.size,
            have=have,
            complete=self.complete,
            leases_wanted=0 if self.complete else self.leases_wanted,
            cursor=self.cursor,
            source=self.source,
            leases=tuple(self._lease_reports()),
            claims=tuple(Claim(index, chunk) for index, chunk in sorted(self.claims.items())),
            suspicions=tuple(self.suspicions),
            refused=self.refused,
            throttled_seconds=self.throttled_seconds,
            peers_wanted=self.peers_wanted,
            starving=self.starving,
            body=self.body,
            no_ranges=self.no_ranges,
        )

    def announce(self, *, full: bool | None = None, leaving: bool = False) -> Announce:
        return Announce(
            cluster=CLUSTER,
            node=self.node,
            name=f"node-{self.number}",
            address=self.address,
            zone=self.zone,
            rack=self.rack,
            full=not self.known if full is None else full,
            swarms=(self.report(),),
            leaving=leaving,
        )

    def call(self, tracker: Tracker, now: float, *, full: bool | None = None) -> AnnounceAnswer:
        """One announce, and again with everything where the tracker does not know this node."""
        answer = tracker.on_announce(self.announce(full=full), self.host, now)
        if answer.resync:
            self.known = False
            answer = tracker.on_announce(self.announce(), self.host, now)
        self.known = True
        self._take(answer, now)
        return answer

    def read(self, lease: Lease, chunks: int | None = None) -> None:
        """Reads so many chunks of a lease from the registry, all that is left of it by default."""
        start = self.next[lease.lease]
        stop = lease.stop if chunks is None else min(start + chunks, lease.stop)
        for index in range(start, stop):
            self.held.add(index)
            self.claims[index] = true_chunk(index)
        self.next[lease.lease] = stop
        if stop == lease.stop:
            del self.leases[lease.lease]
            self.finished.append(lease)

    def read_all(self) -> None:
        for lease in list(self.leases.values()):
            self.read(lease)

    def receive(self, chunks: Iterable[int]) -> None:
        """From peers."""
        self.held.update(chunks)

    def _lease_reports(self) -> Iterable[LeaseReport]:
        for lease in [*self.leases.values(), *self.finished]:
            yield LeaseReport(
                lease.lease, lease.start, lease.stop, self.next[lease.lease], self.progress_bytes
            )

    def _take(self, answer: AnnounceAnswer, now: float) -> None:
        self.answer = answer
        self.call_at = now + answer.interval_seconds
        self.finished.clear()
        for swarm in answer.swarms:
            self.cursor = swarm.cursor
            self.heard.update((claim.index, claim.chunk) for claim in swarm.claims)
            self.size = self.size if self.size is not None else swarm.size
            for lease in swarm.leases:
                self.leases[lease.lease] = lease
                self.next[lease.lease] = lease.start
                self.ever_leased.append(lease)
            for ended in swarm.ended_leases:
                self.leases.pop(ended, None)
