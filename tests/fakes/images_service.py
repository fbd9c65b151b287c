"""`FakeImages`: the registry endpoint's `Images` out of memory, with downloads whose progress the test controls."""

import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import trio

from agent.content.digest import Digest
from agent.content.document import Descriptor
from agent.content.errors import NotFound, ShoalError
from agent.content.media_types import OCI_MANIFEST
from agent.content.reference import Repository
from agent.content.stored import Resolved, StoredDocument
from registry_proxy.images import BlobReader


class FakeDownload:
    """A blob of which `readable` bytes are there. `readers` counts those that are open."""

    def __init__(self, content: bytes, readable: int) -> None:
        self.content = content
        self.digest = Digest.of(content)
        self.readable = 0
        self.readers = 0
        self.opens = 0
        self._failure: ShoalError | None = None
        self._progress = trio.Event()
        self.file = tempfile.TemporaryFile()  # noqa: SIM115 (closed by FakeImages)
        self.grow(readable)

    def grow(self, stop: int) -> None:
        """The bytes up to `stop` are verified now."""
        os.pwrite(self.file.fileno(), self.content[self.readable : stop], self.readable)
        self.readable = stop
        self._wake()

    def fail(self, failure: ShoalError) -> None:
        self._failure = failure
        self._wake()

    def _wake(self) -> None:
        self._progress.set()
        self._progress = trio.Event()

    async def wait_readable(self, offset: int) -> int:
        while offset >= self.readable:
            if self._failure is not None:
                raise self._failure
            await self._progress.wait()
        return self.readable


class FakeReader:
    def __init__(self, download: FakeDownload) -> None:
        self.size = len(download.content)
        self.fd = download.file.fileno()
        self.wait_readable = download.wait_readable


class FakeImages:
    def __init__(self) -> None:
        self._tags: dict[tuple[Repository, str], Resolved | ShoalError] = {}
        self._documents: dict[Digest, StoredDocument] = {}
        self._downloads: dict[Digest, FakeDownload] = {}
        self.failure: ShoalError | None = None
        self.documents_asked = 0

    def put_document(self, body: bytes, media_type: str = OCI_MANIFEST) -> Descriptor:
        descriptor = Descriptor(media_type, Digest.of(body), len(body))
        self._documents[descriptor.digest] = StoredDocument(body, descriptor)
        return descriptor

    def put_tag(
        self, repository: Repository, tag: str, descriptor: Descriptor, *, stale: bool = False
    ) -> None:
        self._tags[repository, tag] = Resolved(descriptor, stale)

    def put_blob(self, content: bytes, readable: int | None = None) -> FakeDownload:
        """All of it, unless only `readable` bytes are there yet."""
        download = FakeDownload(content, len(content) if readable is None else readable)
        self._downloads[download.digest] = download
        return download

    async def is_ours(self, repository: Repository, *, now: bool) -> bool:
        return False

    async def resolve(self, repository: Repository, tag: str) -> Resolved:
        found = self._tags.get((repository, tag))
        if self.failure is not None:
            raise self.failure
        if not isinstance(found, Resolved):
            raise NotFound(f"{repository} has no tag {tag}")
        return found

    async def get_document(self, repository: Repository, digest: Digest) -> StoredDocument:
        self.documents_asked += 1
        if digest not in self._documents:
            raise NotFound(f"{repository} has no manifest {digest}")
        return self._documents[digest]

    def open_blob(self, repository: Repository, digest: Digest) -> AbstractAsyncContextManager[BlobReader]:
        return self._open_blob(repository, digest)

    @asynccontextmanager
    async def _open_blob(self, repository: Repository, digest: Digest) -> AsyncIterator[BlobReader]:
        if self.failure is not None:
            raise self.failure
        download = self._downloads.get(digest)
        if download is None:
            raise NotFound(f"{repository} has no blob {digest}")
        download.readers += 1
        download.opens += 1
        try:
            yield FakeReader(download)
        finally:
            download.readers -= 1

    def close(self) -> None:
        for download in self._downloads.values():
            download.file.close()
