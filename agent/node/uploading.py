"""`Uploading`: blobs from clients into the store: one hop a block, flat memory, one sender an upload.

What is acknowledged: bytes of an upload once they are written (a killed agent still has them), a blob once it is
verified, fsynced and known under its repository. A body that breaks off leaves what came of it; its client asks how far
it got and goes on.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from agent.content.digest import Digest
from agent.content.document import Descriptor
from agent.content.errors import ContentError
from agent.content.media_types import OCTET_STREAM
from agent.content.reference import Repository
from agent.node.holding import holding
from agent.node.hop import Hop
from agent.node.push_errors import TooManyUploads, UploadBusy, UploadUnknown, WrongDigest
from agent.node.tracker_session import TrackerSession
from agent.store.store import Store
from agent.store.uploads import Upload
from agent.wire.tracker_calls import SwarmReport

_BLOCK_BYTES = 1024 * 1024

Receive = Callable[[], Awaitable[bytes]]
"""The next bytes of a body, b"" at its end."""


class Uploading:
    def __init__(self, store: Store, tracker: TrackerSession, hop: Hop) -> None:
        self._store = store
        self._tracker = tracker
        self._hop = hop
        self._busy: set[str] = set()

    async def begin(self, repository: Repository) -> Upload:
        """Raises TooManyUploads, DiskError."""
        upload = await self._hop(self._store.uploads.begin, repository, frozenset(self._busy))
        if upload is None:
            raise TooManyUploads("too many uploads are open on this node; try again when some have ended")
        return upload

    @asynccontextmanager
    async def using(self, repository: Repository, upload_id: str) -> AsyncIterator[Upload]:
        """The upload, for this caller alone. Raises UploadUnknown, UploadBusy, DiskError."""
        upload = self._store.uploads.find(upload_id, repository)
        if upload is None:
            raise UploadUnknown(f"there is no upload {upload_id[:40]!r} in {repository.name}")
        if upload.id in self._busy:
            raise UploadBusy("another request is sending to this upload")
        self._busy.add(upload.id)
        try:
            yield upload
        finally:
            self._busy.discard(upload.id)

    async def receive(self, upload: Upload, receive: Receive) -> int:
        """Append a body; how many bytes it had. Raises InputError where it breaks off, DiskError."""
        before, block = upload.size, bytearray()
        while piece := await receive():
            block += piece
            if len(block) >= _BLOCK_BYTES:
                await self._hop(self._store.uploads.append, upload, block)
                block = bytearray()
        if block:
            await self._hop(self._store.uploads.append, upload, block)
        return upload.size - before

    async def cut(self, upload: Upload, size: int) -> None:
        await self._hop(self._store.uploads.cut, upload, size)

    async def finish(self, upload: Upload, digest: Digest) -> None:
        """Make it a blob of its repository, and offer it to the cluster. Raises WrongDigest, DiskError."""
        async with holding(self._store, self._hop, [digest]):
            try:
                size = await self._hop(self._store.uploads.finish, upload, digest)
            except ContentError as error:
                raise WrongDigest(str(error)) from None
            descriptor = Descriptor(OCTET_STREAM, digest, size)
            await self._hop(self._store.link, upload.repository, descriptor)
        self._tracker.tell(SwarmReport(digest, size, complete=True))

    def cancel(self, upload: Upload) -> None:
        self._store.uploads.discard(upload)

    async def mount(self, repository: Repository, digest: Digest, origin: Repository | None) -> bool:
        """Know a blob of `origin` (None: of any of the cluster's own repositories, which whoever may push may read)
        under `repository`, too; False where that cannot be. Raises DiskError.
        """
        async with holding(self._store, self._hop, [digest]):
            size = self._store.size_of(digest)
            if size is None or not self._is_known(digest, origin):
                return False
            await self._hop(self._store.link, repository, Descriptor(OCTET_STREAM, digest, size))
            return True

    def _is_known(self, digest: Digest, origin: Repository | None) -> bool:
        if origin is not None:
            return self._store.is_linked(origin, digest)
        return any(one.is_of_cluster for one in self._store.repositories_of(digest))
