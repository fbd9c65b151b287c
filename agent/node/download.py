"""`Download`: one digest on its way into this node's store, shared by everybody here who wants it.

It takes part in the swarm (a SwarmSession performs that), reads the registry where the tracker leases a part to it
or where policy says so, checks and writes chunks (one thread hop each), and ends as a committed blob or with a
stored failure: `wait_ended` returns, `failure` says. Readers are served the verified prefix as it grows; the last
byte only once the whole digest is verified, so that a wrong blob can never be taken for a whole one.

The registry's part is in registry_reads.py, the conversation with the tracker in download_member.py.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import trio

from agent.content.chunk_set import ChunkSet
from agent.content.digest import Digest
from agent.content.errors import ContentError, DiskError, NotFound, ShoalError, SourceError, Unauthorized
from agent.node.containment import contained
from agent.node.download_member import DownloadMember
from agent.node.giving_up import Failures, give_up_at
from agent.node.hop import BRIEF_BYTES, INLINE_BYTES, Hop, run_inline
from agent.node.registry_reads import RegistryReads
from agent.node.services import Services, Tally
from agent.node.session import SwarmSession
from agent.node.source import Source
from agent.node.without_registry import nobody_has_at
from agent.store.partial import PartialBlob
from agent.swarm.swarm import Swarm
from agent.telemetry.logs import get_log
from agent.telemetry.metrics import PullOutcome
from agent.wire.node_id import NodeId, short
from agent.wire.tracker_calls import MAX_INLINE_BYTES, SwarmReport

_MAX_MISMATCHES = 3
_LOOK_SECONDS = 0.5
_BEHIND_BYTES = 2 * 1024 * 1024
_PREFIX_BYTES = 8 * 1024 * 1024  # others want to hash as well

_log = get_log("shoal.download")


class Download:
    def __init__(self, digest: Digest, size: int | None, source: Source, services: Services) -> None:
        """`size` None: nobody has told it yet."""
        self.digest = digest
        self.size = size
        self.known_size = size  # what others say it is; `size` once the partial blob is made for it
        self._size_was_given = size is not None
        self.source = source
        self.services = services
        self.tally = Tally()
        self.readers = 0
        self.failure: ShoalError | None = None
        self.failures: Failures | None = None
        self.losses: list[
            ChunkSet
        ] = []  # chunks that turned out wrong, each time; readers who saw them must fail
        self.is_verified = False
        self.has_ended = False
        self.began_at = self.moved_at = self.peers_moved_at = trio.current_time()
        self.participants = 1  # nodes in its swarm, as the tracker last said
        self._fatal: ShoalError | None = None
        self.is_stored = False
        self.session: SwarmSession | None = None
        self.partial: PartialBlob | None = None
        self.reads = RegistryReads(self)
        self.member = DownloadMember(self)
        self._nursery: trio.Nursery | None = None
        self._beginning = trio.Lock()
        self._progress = trio.Event()
        self._mismatches = 0
        self._checking = 0
        self._is_hashing = False

    # ---- for readers

    async def wait_progress(self) -> None:
        """Until something has changed since now."""
        await self._progress.wait()

    async def wait_ended(self) -> None:
        while not self.has_ended:
            await self._progress.wait()

    def readable_end(self, offset: int) -> int:
        """The end of the verified bytes that start at `offset`; `offset` itself where there are none yet."""
        size, partial = self.size, self.partial
        if partial is None or size is None:
            return offset
        if self.is_verified:
            return size
        missing = partial.have.first_missing(partial.map.index_at(offset))
        return max(offset, min(missing * partial.map.chunk_bytes, size - 1))

    def on_starving(self, offset: int) -> None:
        """A reader has waited long for the byte at `offset`."""
        if self.session is not None and self.partial is not None and not self.is_verified:
            index = self.partial.map.index_at(offset)
            self.session.perform(self.session.swarm.on_starving(index, trio.current_time()))

    # ---- the download's life

    async def run(self) -> None:
        """Until the blob is in the store, or `failure` says why not; cancelled: what is verified stays for a resume."""
        services = self.services
        started = trio.current_time()
        services.tracker.join(self.digest, self.member)
        try:
            is_over = False
            with contained(services.metrics, f"the download of {self.digest}"):
                await self._run_tasks()
                is_over = True
            if not is_over:
                self.failure = SourceError(
                    f"the download of {self.digest} failed unexpectedly; the log has more"
                )
        finally:
            with contained(services.metrics, f"the end of the download of {self.digest}"):
                self._end(trio.current_time() - started)
            self.has_ended = True
            self.touch()

    async def _run_tasks(self) -> None:
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            try:
                await self._work()
            except ShoalError as error:
                self.failure = error
            finally:
                self._nursery = None
            nursery.cancel_scope.cancel()

    def start_soon(self, work: Callable[..., Awaitable[None]], *args: Any) -> None:
        """A task of this download; it must end in no ShoalError. Nothing happens once the download has ended."""
        if self._nursery is not None:
            self._nursery.start_soon(work, *args)

    async def _work(self) -> None:
        """Raises the ShoalError that the download fails with."""
        size = self.size if self.size is not None else self.services.store.partial_size(self.digest)
        if size is not None:
            await self.begin(size)
        while not self.is_stored:
            if self._fatal is not None:
                raise self._fatal
            if self.session is not None and self.session.swarm.is_complete and not self._checking:
                await self._finish(self.session)
                continue
            now = trio.current_time()
            alone_at, give_up = self._alone_at(now), self._give_up_at()
            if self.failures is not None and give_up <= now:
                raise self.failures.last
            if alone_at <= now:
                self.reads.start_alone()
                continue
            # Looked at again now and then: the tracker may fall silent without anything happening here.
            with trio.move_on_at(min(alone_at, give_up, now + _LOOK_SECONDS)):
                await self._progress.wait()

    def _alone_at(self, now: float) -> float:
        """From when the registry is read unasked. Raises NotFound where there is none, and nobody else brings it."""
        if self.source.has_registry:
            return self.reads.alone_at(now)
        if nobody_has_at(self.moved_at, self.participants > 1) <= now:
            raise NotFound(f"no node of this cluster that can be reached has {self.digest}")
        return float("inf")

    async def begin(self, size: int) -> None:
        """The size is known: the partial file, the swarm. Idempotent. Raises DiskError; SourceError for another
        size.
        """
        async with self._beginning:
            if self.session is not None or self.is_stored:
                if size != self.size:
                    raise SourceError(f"{self.digest} has {self.size} bytes, not {size}")
                return
            services = self.services
            partial = await self._hop(size)(services.store.open_partial, self.digest, size)
            self.partial, self.size = partial, size
            self.tally.resumed = sum(partial.map.length(index) for index in partial.have)
            swarm = Swarm(
                self.digest, partial.map, partial.have, services.notary, services.rng, services.policy
            )
            self.session = services.hub.begin(swarm, partial.fd, self, partial.close)
        self._hash_along()
        self.touch()
        services.tracker.wake()

    def _hop(self, size: int) -> Hop:
        """For what is done once to a blob of this size."""
        return self.services.hops.brief if size <= BRIEF_BYTES else self.services.hops.other

    async def take_whole(self, body: bytes) -> None:
        """The whole content came at once (small, inside a tracker's answer); a wrong one is ignored. It goes where its
        readers look: chunk by chunk into the partial blob. Raises DiskError; ContentError where it shows that the size
        was told wrong (it is in the store then, for whoever asks anew).
        """
        if Digest.of(body, self.digest.algorithm) != self.digest:
            _log.warning("the tracker sent content that does not match its digest", digest=self.digest)
            return
        if self.size not in (None, len(body)):
            await self.services.hops.other(self.services.store.put, self.digest, body)
            if self.partial is not None:
                await self.services.hops.other(self.partial.discard)
            raise ContentError(f"{self.digest} has {len(body)} bytes, not the {self.size} that were told")
        await self.begin(len(body))
        assert self.session is not None
        swarm = self.session.swarm
        for index in ChunkSet.full(swarm.chunks.count):
            if index not in swarm.have:
                start, stop = swarm.chunks.span(index)
                await self._take_part(self.session, index, body[start:stop])

    async def _take_part(self, session: SwarmSession, index: int, data: bytes) -> None:
        try:
            chunk = await self.write(index, data, None)
        except ContentError:
            return  # it came from elsewhere meanwhile, with other bytes: the whole digest decides
        self.tally.peers += len(data)
        self.services.traffic.count_received("peer", len(data))
        session.perform(session.swarm.on_verified(index, chunk, None, trio.current_time()))
        self.moved()

    def touch(self) -> None:
        """Something changed: wake whoever waits."""
        self._progress.set()
        self._progress = trio.Event()

    def moved(self) -> None:
        """A chunk came, from wherever."""
        self.moved_at = trio.current_time()
        self.failures = None
        self._hash_along()
        self.touch()

    def fail(self, error: ShoalError) -> None:
        """Nothing that others could bring would help."""
        self._fatal = self._fatal or error
        self.touch()

    def on_read_failed(self, error: ShoalError) -> None:
        """Reading the registry failed; what that means is giving_up's."""
        now = trio.current_time()
        old = self.failures
        self.failures = Failures(error, (old.count if old else 0) + 1, old.first_at if old else now)
        self.services.metrics.count_error(error)
        self.touch()

    # ---- ContentSink

    def on_chunk(self, sender: NodeId, index: int, data: bytearray, expected: bytes) -> None:
        if self._nursery is None:
            self.services.in_flight.transfers.give_back(len(data))
            return
        self._checking += 1
        self.start_soon(self._check, sender, index, data, expected)

    def on_forget(self, chunks: ChunkSet) -> None:
        self.losses.append(chunks)
        if self.partial is not None:
            try:
                self.partial.forget(chunks)
            except DiskError as error:
                self.fail(error)
        self.touch()

    async def write(self, index: int, data: bytes | bytearray | memoryview, expected: bytes | None) -> bytes:
        """One hop: check, write, hash. Raises ContentError, DiskError."""
        assert self.partial is not None
        hop = run_inline if len(data) <= INLINE_BYTES else self.services.hops.hashing
        return await hop(self.partial.write_chunk, index, memoryview(data), expected)

    async def _check(self, sender: NodeId, index: int, data: bytearray, expected: bytes) -> None:
        assert self.session is not None
        swarm, metrics = self.session.swarm, self.services.metrics
        try:
            chunk = await self.write(index, data, expected)
        except ContentError:
            metrics.count_chunk_failure("digest")
            _log.warning("peer sent a wrong chunk", peer=short(sender), digest=self.digest, chunk=index)
            actions = swarm.on_corrupt(sender, index, trio.current_time())
        except DiskError as error:
            self.fail(error)
            actions = swarm.on_unwritten(index, trio.current_time())
        else:
            self.peers_moved_at = trio.current_time()
            self.tally.peers += len(data)
            self.services.traffic.count_received("peer", len(data))
            actions = swarm.on_verified(index, chunk, sender, trio.current_time())
        finally:
            self._checking -= 1
            self.services.in_flight.transfers.give_back(len(data))
        self.session.perform(actions)
        self.moved()

    # ---- the end

    def _hash_along(self) -> None:
        """Keep the whole-blob hash near the verified prefix, so that little is left to hash at the end."""
        if self.partial is not None and not self._is_hashing and self.partial.unhashed_bytes >= _BEHIND_BYTES:
            self._is_hashing = True
            self.start_soon(self._hash, self.partial)

    async def _hash(self, partial: PartialBlob) -> None:
        try:
            while await self.services.hops.hashing(partial.hash_prefix, _PREFIX_BYTES):
                pass
        except DiskError as error:
            self.fail(error)
        finally:
            self._is_hashing = False

    async def _finish(self, session: SwarmSession) -> None:
        """All chunks are here. Raises ContentError where the whole is wrong once too often, DiskError."""
        partial = self.partial
        assert partial is not None
        is_hashed = not self._is_hashing and partial.unhashed_bytes <= INLINE_BYTES
        try:
            await (run_inline if is_hashed else self.services.hops.hashing)(partial.verify)
        except ContentError as error:
            self._on_mismatch(session, error)
            return
        self.is_verified = True
        session.swarm.on_whole([partial.chunk_digest(index) or b"" for index in range(partial.map.count)])
        self.touch()
        await self._hop(partial.map.size)(partial.commit)
        self.is_stored = True

    def _on_mismatch(self, session: SwarmSession, error: ContentError) -> None:
        self._mismatches += 1
        if not self._size_was_given:
            if self.partial is not None:
                self.partial.discard()
            raise ContentError(f"{error}; its size came from the registry, and may be wrong too")
        self.services.metrics.count_chunk_failure("digest")
        _log.warning("blob does not match its digest", digest=self.digest, attempt=self._mismatches)
        session.perform(session.swarm.on_mismatch(trio.current_time()))
        self.services.tracker.wake()
        self.on_read_failed(error)
        if self._mismatches >= _MAX_MISMATCHES:
            raise ContentError(f"{error}; fetched {self._mismatches} times") from None

    def _give_up_at(self) -> float:
        if self.failures is None or self.reads.is_reading:
            return float("inf")
        # Who is refused waits for those who are not, though they may not have begun yet.
        is_refused = isinstance(self.failures.last, Unauthorized)
        others = self.participants > 1 or (is_refused and self.services.tracker.cluster_nodes > 1)
        return give_up_at(self.failures, self.moved_at, others)

    def _end(self, seconds: float) -> None:
        """Tell the tracker, let go of the partial, wake the readers."""
        services, stored = self.services, self.is_stored
        body = self._small_body() if stored and self.tally.registry else None
        services.tracker.leave(
            self.digest,
            SwarmReport(
                self.digest,
                self.size,
                complete=stored,
                left=not stored,
                body=body,
                claims=self.member.unsent_claims(),
            ),
        )
        if not stored and self.session is not None:
            services.hub.end(self.session)
        outcome: PullOutcome = "ok" if stored else "error" if self.failure else "cancelled"
        services.metrics.count_pull(outcome)
        if stored:
            tally = self.tally
            _log.info(
                "blob complete",
                digest=self.digest,
                size=self.size,
                seconds=round(seconds, 3),
                registry=tally.registry,
                peers=tally.peers,
                resumed=tally.resumed,
            )
        elif self.failure is not None:
            _log.warning("download failed", digest=self.digest, reason=str(self.failure))

    def _small_body(self) -> bytes | None:
        if self.size is None or self.size > MAX_INLINE_BYTES:
            return None
        try:
            return self.services.store.read(self.digest, MAX_INLINE_BYTES)
        except ShoalError:
            return None
