"""`Blobs`: every blob of this node by digest: a hit from the store, or the one shared download of it.

A download runs here, not with its first requester. While somebody reads it goes on; when the last reader leaves it
lingers, then stops, keeping what it verified. A join during that time takes the stop back; a join after it waits for
the end and starts anew.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import trio

from agent.content.chunk_set import ChunkSet
from agent.content.digest import Digest
from agent.content.errors import ContentError, DiskError, SourceError
from agent.node.containment import contained
from agent.node.download import Download
from agent.node.services import Services
from agent.node.source import Source

_STARVING_SECONDS = 0.5


class BlobReader:
    """A blob of `size` bytes, readable at `fd` as far as `wait_readable` says."""

    def __init__(self, size: int, fd: int, download: Download | None) -> None:
        """`download` None: the whole blob is here. The descriptor is the reader's."""
        self.size = size
        self.fd = fd
        self._download = download
        self._promised = ChunkSet()
        self._losses_seen = 0 if download is None else len(download.losses)

    async def wait_readable(self, offset: int) -> int:
        """The end (exclusive) of the verified bytes from `offset`. Raises the ShoalError that the download failed
        with.
        """
        download = self._download
        if download is None:
            await trio.lowlevel.checkpoint()
            return self.size
        while (end := self._readable_end(download, offset)) <= offset:
            if download.has_ended and not download.is_verified:
                raise download.failure or SourceError(f"the download of {download.digest} was stopped")
            with trio.move_on_after(_STARVING_SECONDS) as patience:
                await download.wait_progress()
            if patience.cancelled_caught:
                download.on_starving(offset)
        return end

    def _readable_end(self, download: Download, offset: int) -> int:
        """Raises ContentError where something that was promised before has turned out wrong since."""
        while self._losses_seen < len(download.losses):
            if self._promised & download.losses[self._losses_seen]:
                raise ContentError(
                    f"a part of {download.digest} that was sent already does not match its digest"
                )
            self._losses_seen += 1
        end = download.readable_end(offset)
        if end > offset and download.partial is not None:
            chunks = download.partial.map
            self._promised |= ChunkSet.run(chunks.index_at(offset), chunks.index_at(end - 1) + 1)
        return end


@dataclass(slots=True)
class _Shared:
    download: Download
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)


class Blobs:
    def __init__(self, services: Services, linger_seconds: float) -> None:
        self._services = services
        self._linger_seconds = linger_seconds
        self._shared: dict[Digest, _Shared] = {}
        self._nursery: trio.Nursery | None = None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started()
            try:
                await trio.sleep_forever()
            finally:
                self._nursery = None

    @property
    def downloads(self) -> list[Download]:
        return [shared.download for shared in self._shared.values()]

    @asynccontextmanager
    async def open_blob(
        self, digest: Digest, source: Source, size: int | None = None
    ) -> AsyncIterator[BlobReader]:
        """A reader, once the size is known. Raises the download's ShoalError on entering."""
        hit = self._services.store.open_blob(digest)
        if hit is not None:
            self._services.metrics.count_blob_request("hit")
            with hit:
                yield BlobReader(hit.size, hit.fd, None)
            return
        async with self.open_download(digest, source, size) as download:
            while download.session is None and not download.has_ended:
                await download.wait_progress()
            with self._reader_of(download) as reader:
                yield reader

    @asynccontextmanager
    async def open_download(
        self, digest: Digest, source: Source, size: int | None = None
    ) -> AsyncIterator[Download]:
        """Join the shared download of a blob that is not here, or begin it."""
        shared = await self._join(digest, source, size)
        try:
            yield shared.download
        finally:
            shared.download.readers -= 1
            if shared.download.readers == 0:
                shared.scope.deadline = trio.current_time() + self._linger_seconds

    def prefetch(self, digest: Digest, source: Source, size: int, patience_seconds: float) -> None:
        """Begin a download that nobody waits for yet; it stops by itself when nobody has come for it in time."""
        if digest not in self._shared and self._services.store.size_of(digest) is None:
            shared = self._begin(digest, source, size)
            shared.scope.deadline = trio.current_time() + patience_seconds

    # ---- inside

    async def _join(self, digest: Digest, source: Source, size: int | None) -> _Shared:
        """Counted as a reader from here on."""
        while True:
            shared = self._shared.get(digest)
            if shared is None:
                self._services.metrics.count_blob_request("miss")
                shared = self._begin(digest, source, size)
                break
            if not shared.scope.cancel_called:
                self._services.metrics.count_blob_request("join")
                if source.has_registry and not shared.download.source.has_registry:
                    shared.download.source = source  # more is possible now
                break
            await shared.download.wait_ended()
        shared.download.readers += 1
        shared.scope.deadline = float("inf")
        return shared

    def _begin(self, digest: Digest, source: Source, size: int | None) -> _Shared:
        if self._nursery is None:
            raise SourceError("this node is shutting down")
        known = size if size is not None else self._services.store.linked_size(digest)
        shared = _Shared(Download(digest, known, source, self._services))
        self._shared[digest] = shared
        self._nursery.start_soon(self._run, shared)
        return shared

    async def _run(self, shared: _Shared) -> None:
        try:
            with shared.scope, contained(self._services.metrics, f"the download of {shared.download.digest}"):
                await shared.download.run()
        finally:
            del self._shared[shared.download.digest]

    def _reader_of(self, download: Download) -> "_OwnedReader":
        """Raises the download's failure."""
        if download.has_ended:
            hit = self._services.store.open_blob(download.digest)
            if hit is not None:
                return _OwnedReader(BlobReader(hit.size, hit.fd, None))
        if download.has_ended or download.partial is None or download.size is None:
            raise download.failure or SourceError(f"the download of {download.digest} was stopped")
        try:
            return _OwnedReader(BlobReader(download.size, os.dup(download.partial.fd), download))
        except OSError as error:
            raise DiskError(f"cannot read {download.digest}: {error.strerror}") from None


class _OwnedReader:
    def __init__(self, reader: BlobReader) -> None:
        self._reader = reader

    def __enter__(self) -> BlobReader:
        return self._reader

    def __exit__(self, *_: object) -> None:
        os.close(self._reader.fd)
