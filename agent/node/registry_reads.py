"""`RegistryReads`: one download's reads of the registry: parts leased by the tracker, or taken alone where policy
allows.

A read streams adjacent chunks with one ranged GET; each chunk is written, vouched for and offered on the moment it is
whole. Reads end by themselves, by the tracker's word (`end`), or with the download.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import trio
from blake3 import blake3

from agent.content.chunk_set import ChunkSet
from agent.content.errors import (
    ContentError,
    DiskError,
    NotFound,
    ShoalError,
    SourceError,
    Throttled,
    Unauthorized,
)
from agent.node.giving_up import retry_at
from agent.origin.content_reader import ContentReader
from agent.swarm.fallback import Fallback, Situation
from agent.swarm.part_to_read import part_alone, part_beside_others
from agent.telemetry.metrics import RegistryOutcome
from agent.wire.tracker_calls import Lease, LeaseReport

if TYPE_CHECKING:
    from agent.node.download import Download

_MAX_UNKNOWN_BYTES = 4 * 1024 * 1024
_DOCUMENT_BYTES = 1024 * 1024  # what is of unknown size is one, and hardly ever larger


@dataclass(slots=True)
class _Read:
    """The chunks start, ..., stop - 1; stop 0: all of a blob of unknown size. lease None: unasked. `next`: progress.
    is_whole: the registry sends more than was asked for, all of it.
    """

    lease: int | None
    start: int
    stop: int
    check: bool = False
    next: int = 0
    is_whole: bool = False
    progress_bytes: int = 0
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)


class RegistryReads:
    def __init__(self, download: "Download") -> None:
        self.refused = False
        self.no_ranges = False
        self.throttled_seconds: float | None = None
        self.paused_until = float("-inf")
        self.claims: list[tuple[int, bytes]] = []
        self._download = download
        self._reads: list[_Read] = []
        self._finished: list[LeaseReport] = []
        self._reads_whole = False
        self._alone_since: float | None = None
        self._fallback = Fallback(download.services.rng)
        self.progress_bytes = 0

    @property
    def is_reading(self) -> bool:
        return bool(self._reads)

    @property
    def leases_held(self) -> int:
        return sum(read.lease is not None for read in self._reads)

    def reports(self) -> tuple[LeaseReport, ...]:
        """All leases held, finished ones once more."""
        held = [_report(read) for read in self._reads if read.lease is not None]
        finished, self._finished = self._finished, []
        return (*held, *finished)

    def start(self, lease: Lease) -> None:
        self._alone_since = None
        if self._reads_whole:
            return  # its chunks are coming as it is; what is not reported as held counts as given up
        if all(read.lease != lease.lease for read in self._reads):
            self._start(_Read(lease.lease, lease.start, lease.stop, lease.check, next=lease.start))

    def end(self, lease: int) -> None:
        """The tracker took it back."""
        for read in self._reads:
            if read.lease == lease:
                read.scope.cancel()

    def alone_at(self, now: float) -> float:
        """From when this node may read without a lease."""
        download, tracker = self._download, self._download.services.tracker
        situation = Situation(
            has_tracker=tracker.is_configured,
            tracker_silent_since=tracker.silent_since,
            cluster_nodes=tracker.cluster_nodes,
            began_at=download.began_at,
            moved_at=download.moved_at,
            peers_moved_at=download.peers_moved_at if self._has_neighbours else None,
            receiving=download.session is not None and download.session.swarm.is_receiving,
            reading=self.is_reading,
        )
        at = max(now if self._goes_on_alone else self._fallback.read_alone_at(situation), self.paused_until)
        if download.session is not None and not download.session.swarm.want and not self.is_reading:
            return max(at, now + 0.1)  # all of it is on its way
        return at

    @property
    def _goes_on_alone(self) -> bool:
        """The tracker answers and nothing comes of it: once this node helps itself it need not wait again for each
        part, until a neighbour brings something, or a lease does.
        """
        download, since = self._download, self._alone_since
        is_cut_off = since is not None and download.peers_moved_at <= since and not self.is_reading
        return is_cut_off and download.services.tracker.silent_since is None

    def start_alone(self) -> None:
        """Read the next missing part (agent/swarm/part_to_read.py)."""
        download = self._download
        self._alone_since = trio.current_time()
        if download.session is None or download.partial is None:
            self._start(_Read(None, 0, 0))
            return
        swarm, chunks = download.session.swarm, download.partial.map
        if self._has_neighbours:
            start, stop = part_beside_others(swarm.want, swarm.peers, chunks, download.services.rng)
        else:
            has_tracker = download.services.tracker.is_configured
            start, stop = part_alone(swarm.want, chunks, has_tracker=has_tracker)
        self._start(_Read(None, start, stop, next=start))

    # ---- inside

    @property
    def _has_neighbours(self) -> bool:
        return self._download.session is not None and bool(self._download.session.neighbours)

    def _start(self, read: _Read) -> None:
        self._reads.append(read)
        self._download.start_soon(self._run, read)

    async def _run(self, read: _Read) -> None:
        download = self._download
        try:
            with read.scope:
                await trio.sleep_until(self.paused_until)
                if read.stop and download.known_size is not None:
                    await download.begin(download.known_size)
                    self._mark(ChunkSet.run(read.start, read.stop))
                await self._stream(read)
        except DiskError as error:
            download.fail(error)
        except ShoalError as error:
            self._on_failure(error)
        finally:
            self._reads.remove(read)
            self._reads_whole = self._reads_whole and not read.is_whole
            if read.lease is not None and read.next == read.stop:
                self._finished.append(_report(read))
            self._unmark(read)
            download.touch()
            download.services.tracker.wake()

    def _mark(self, chunks: ChunkSet) -> None:
        """We read these now: they need not come from elsewhere."""
        session = self._download.session
        if session is not None:
            session.perform(session.swarm.on_reading(chunks, trio.current_time()))

    def _unmark(self, read: _Read) -> None:
        session = self._download.session
        if session is not None:
            count = session.swarm.chunks.count
            chunks = ChunkSet.full(count) if self.no_ranges else ChunkSet.run(read.start, read.stop)
            session.perform(session.swarm.on_read_ended(chunks, trio.current_time()))

    def _on_failure(self, error: ShoalError) -> None:
        download = self._download
        registry = download.source.repository.registry
        download.services.metrics.count_registry_request(registry, _outcome(error))
        if isinstance(error, Throttled):
            self.throttled_seconds = (
                error.retry_after_seconds if error.retry_after_seconds is not None else 1.0
            )
        self.refused = self.refused or isinstance(error, Unauthorized)
        download.on_read_failed(error)
        assert download.failures is not None
        self.paused_until = retry_at(download.failures, trio.current_time())

    async def _stream(self, read: _Read) -> None:
        download = self._download
        partial, source = download.partial, download.source
        begin, end = 0, None
        if read.stop and partial is not None:
            if read.stop > partial.map.count:
                raise SourceError(
                    f"{download.digest} has no chunk {read.stop - 1}: the tracker knows another size"
                )
            first = read.start if read.check else self._first_missing(read)
            if first >= read.stop:
                read.next = read.stop
                return
            begin, end = partial.map.span(first)[0], partial.map.span(read.stop - 1)[1]
        buffered = _DOCUMENT_BYTES if partial is None else partial.map.chunk_bytes
        async with (
            download.services.in_flight.reads.taking(
                buffered, lambda: (not download.readers, download.began_at, read.start)
            ),
            download.services.origin.open_content(
                source.repository,
                download.digest,
                kind=source.kind,
                start=begin,
                stop=end,
                size=download.size,
            ) as reader,
        ):
            download.services.metrics.count_registry_request(source.repository.registry, "ok")
            if download.session is None or not read.stop:
                await self._take_unknown(read, reader)
            else:
                await self._take(read, reader, memoryview(b""))

    def _first_missing(self, read: _Read) -> int:
        assert self._download.partial is not None
        return self._download.partial.have.first_missing(read.start)

    async def _take_unknown(self, read: _Read, reader: ContentReader) -> None:
        """Nobody knew the size: the registry tells it, by its answer or by where that ends."""
        download = self._download
        ahead = bytearray()
        if reader.total_size is None:
            ahead = bytearray(_MAX_UNKNOWN_BYTES + 1)
            size = await _fill(reader, memoryview(ahead))
            if size > _MAX_UNKNOWN_BYTES:
                raise SourceError(f"the registry does not say how large {download.digest} is")
            del ahead[size:]
        await download.begin(len(ahead) if reader.total_size is None else reader.total_size)
        assert download.session is not None
        read.stop = download.session.swarm.chunks.count
        self._mark(ChunkSet.full(read.stop))
        await self._take(read, reader, memoryview(ahead))

    async def _take(self, read: _Read, reader: ContentReader, ahead: memoryview) -> None:
        """Chunk by chunk to the end of what was asked for; of all there is, where the registry ignores ranges."""
        download = self._download
        assert download.partial is not None
        assert download.session is not None
        chunks = download.partial.map
        index, stop = chunks.index_at(reader.start), read.stop
        if index < read.start:
            stop = chunks.count
            self._on_no_ranges(read, stop)
        buffer = memoryview(bytearray(min(chunks.chunk_bytes, chunks.size)))
        for number in range(index, stop):
            chunk = buffer[: chunks.length(number)]
            if ahead:
                chunk, ahead = ahead[: len(chunk)], ahead[len(chunk) :]
            else:
                await self._receive(read, reader, chunk)
            await self._keep(read, number, chunk)
            read.next = max(read.next, min(number + 1, read.stop))

    async def _receive(self, read: _Read, reader: ContentReader, chunk: memoryview) -> None:
        """All of it."""
        while chunk:
            count = await reader.receive_into(chunk)
            if not count:
                raise SourceError(f"the registry's answer for {self._download.digest} ended early")
            await self._download.services.download_rate.take(count)
            read.progress_bytes += count
            self.progress_bytes += count
            chunk = chunk[count:]

    def _on_no_ranges(self, read: _Read, count: int) -> None:
        """The registry sends all of the blob whatever is asked for: once is enough."""
        self.no_ranges = self._reads_whole = read.is_whole = True
        self._mark(ChunkSet.full(count))
        for other in self._reads:
            if other is not read:
                other.scope.cancel()

    async def _keep(self, read: _Read, index: int, data: memoryview) -> None:
        download = self._download
        assert download.partial is not None
        assert download.session is not None
        session, now = download.session, trio.current_time
        download.services.traffic.count_received("registry", len(data))
        download.tally.registry += len(data)
        if read.check:
            claim = blake3(data).digest()
            self.claims.append((index, claim))
            held = download.partial.chunk_digest
            session.perform(session.swarm.on_claims([(index, claim)], held, now()))
        if index in session.swarm.have:
            return
        try:
            chunk = await download.write(index, data, None)
        except ContentError:
            return  # a neighbour brought other bytes of it meanwhile: the whole digest decides
        if not read.check:
            self.claims.append((index, chunk))
        session.perform(session.swarm.on_verified(index, chunk, None, now()))
        download.moved()


async def _fill(reader: ContentReader, buffer: memoryview) -> int:
    """How much came, to the end of the content or of the buffer."""
    filled = 0
    while filled < len(buffer) and (count := await reader.receive_into(buffer[filled:])):
        filled += count
    return filled


def _report(read: _Read) -> LeaseReport:
    assert read.lease is not None
    return LeaseReport(read.lease, read.start, read.stop, max(read.next, read.start), read.progress_bytes)


def _outcome(error: ShoalError) -> RegistryOutcome:
    if isinstance(error, NotFound):
        return "not_found"
    if isinstance(error, Unauthorized):
        return "unauthorized"
    return "throttled" if isinstance(error, Throttled) else "error"
