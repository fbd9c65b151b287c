"""`Reads`: one download's reads of the registry, leased by the tracker or taken alone where policy allows.

The counterpart of agent/node/registry_reads.py: same events into the same Swarm, same reports to the tracker.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.content.chunk_set import ChunkSet
from agent.content.errors import ShoalError, SourceError, Throttled
from agent.node.giving_up import Failures, retry_at
from agent.swarm.fallback import Fallback, Situation
from agent.swarm.part_to_read import part_alone, part_beside_others
from agent.wire.tracker_calls import Lease, LeaseReport
from tracker.simulation.flows import Flow

if TYPE_CHECKING:
    from tracker.simulation.download import Download


@dataclass(slots=True, eq=False)
class _Read:
    lease: int | None
    start: int
    stop: int
    next: int
    done_bytes: float = 0.0
    flow: Flow | None = None
    ended: bool = False


class Reads:
    __slots__ = (
        "_download",
        "_failures",
        "_fallback",
        "_finished",
        "_reads",
        "done_bytes",
        "new_claims",
        "paused_until",
        "throttled_seconds",
    )

    def __init__(self, download: "Download") -> None:
        self.throttled_seconds: float | None = None
        self.paused_until = float("-inf")
        self.new_claims: list[int] = []
        self.done_bytes = 0.0
        self._download = download
        self._reads: list[_Read] = []
        self._finished: list[LeaseReport] = []
        self._failures: Failures | None = None
        self._fallback = Fallback(download.node.rng)

    @property
    def is_reading(self) -> bool:
        return bool(self._reads)

    def reports(self) -> tuple[LeaseReport, ...]:
        held = [self._report(read) for read in self._reads if read.lease is not None]
        finished, self._finished = self._finished, []
        return (*held, *finished)

    def start(self, lease: Lease) -> None:
        if all(read.lease != lease.lease for read in self._reads):
            self._start(_Read(lease.lease, lease.start, lease.stop, lease.start))

    def end(self, lease: int) -> None:
        for read in list(self._reads):
            if read.lease == lease:
                self._end(read)

    def end_all(self) -> None:
        for read in list(self._reads):
            read.ended = True
            if read.flow is not None:
                self._download.node.cluster.flows.stop(read.flow)
        self._reads.clear()

    def alone_at(self) -> float:
        """From when it may read without a lease."""
        download = self._download
        session = download.node.session
        situation = Situation(
            has_tracker=True,
            tracker_silent_since=session.silent_since,
            cluster_nodes=session.cluster_nodes,
            began_at=download.began_at,
            moved_at=download.moved_at,
            peers_moved_at=download.peers_moved_at if download.neighbours else None,
            receiving=download.swarm.is_receiving,
            reading=self.is_reading,
        )
        return max(self._fallback.read_alone_at(situation), self.paused_until)

    def start_alone(self) -> None:
        download = self._download
        missing = download.swarm.want
        if not missing:
            return
        if download.neighbours:
            start, stop = part_beside_others(
                missing, download.swarm.peers, download.blob.chunks, download.node.rng
            )
        else:
            start, stop = part_alone(missing, download.blob.chunks, has_tracker=True)
        self._start(_Read(None, start, stop, start))

    # ---- inside

    def _start(self, read: _Read) -> None:
        download = self._download
        self._reads.append(read)
        swarm, now = download.swarm, download.node.clock.now
        download.perform(swarm.on_reading(ChunkSet.run(read.start, read.stop), now))
        download.node.cluster.registry.request(lambda refusal: self._on_answer(read, refusal))

    def _on_answer(self, read: _Read, refusal: float | None) -> None:
        if read.ended:
            return
        if refusal is None:
            self._next(read)
        else:
            self._on_failure(Throttled("429", refusal) if refusal else SourceError("it is gone"))
            self._end(read)

    def _on_failure(self, error: ShoalError) -> None:
        now, old = self._download.node.clock.now, self._failures
        if isinstance(error, Throttled):
            self.throttled_seconds = error.retry_after_seconds
        self._failures = Failures(error, (old.count if old else 0) + 1, old.first_at if old else now)
        self.paused_until = retry_at(self._failures, now)

    def _next(self, read: _Read) -> None:
        have = self._download.swarm.have
        while read.next < read.stop and read.next in have:
            read.next += 1
        if read.next == read.stop:
            self._end(read)
            return
        cluster, node = self._download.node.cluster, self._download.node
        registry = cluster.registry
        length = self._download.blob.chunks.length(read.next)
        cap = registry.scenario.connection_rate
        read.flow = cluster.flows.start(registry.port, node.down, length, cap, self._on_chunk, read, length)

    def _on_chunk(self, read: _Read, length: int) -> None:
        download, index = self._download, read.next
        cluster = download.node.cluster
        read.flow = None
        read.done_bytes += length
        self.done_bytes += length
        read.next += 1
        if cluster.registry.is_off:
            self._on_failure(SourceError("cut"))
            read.next -= 1
            self._end(read)
            return
        cluster.registry.bytes_sent += length
        if read.lease is None and download.node.is_hostile:
            cluster.read_for_themselves_bytes += length
        self._failures = None
        if index not in download.swarm.have:
            self.new_claims.append(index)
            download.on_read(index)
        if not read.ended:
            self._next(read)

    def _end(self, read: _Read) -> None:
        if read.ended:
            return
        read.ended = True
        download = self._download
        if read.flow is not None:
            download.node.cluster.flows.stop(read.flow)
        self._reads.remove(read)
        if read.lease is not None and read.next == read.stop:
            self._finished.append(self._report(read))
        download.perform(
            download.swarm.on_read_ended(ChunkSet.run(read.start, read.stop), download.node.clock.now)
        )
        download.node.session.wake()

    def _report(self, read: _Read) -> LeaseReport:
        assert read.lease is not None
        now = self._download.node.clock.now
        under_way = read.flow.moved(now) if read.flow is not None else 0.0
        return LeaseReport(read.lease, read.start, read.stop, read.next, int(read.done_bytes + under_way))

    def under_way_bytes(self, now: float) -> float:
        return sum(read.flow.moved(now) for read in self._reads if read.flow is not None)
