"""`Images`: images as the registry endpoint and `shoal pull` see them: tags, manifests and indexes, blobs.

A manifest tells every layer's size and digest, so all of them start when it is served, before the client asks for one.
Documents are fetched as blobs are, through the swarm; what is served is kept in the index with where it is known from.
"""

from contextlib import AbstractAsyncContextManager

from agent.content.digest import Digest
from agent.content.document import MAX_DOCUMENT_BYTES, Descriptor, Document, parse_document
from agent.content.errors import SourceError
from agent.content.reference import Repository
from agent.content.stored import Resolved, StoredDocument
from agent.node.blobs import BlobReader, Blobs
from agent.node.hop import Hop
from agent.node.source import Source
from agent.node.tags import Tags
from agent.store.store import Store

_PREFETCH_SECONDS = (
    120.0  # a client fetches three layers at a time: the last of many has to wait for its turn
)


class Images:
    def __init__(self, store: Store, blobs: Blobs, tags: Tags, hop: Hop) -> None:
        self._store = store
        self._blobs = blobs
        self._tags = tags
        self._hop = hop

    async def resolve(self, repository: Repository, tag: str) -> Resolved:
        return await self._tags.resolve(repository, tag)

    async def get_document(self, repository: Repository, digest: Digest) -> StoredDocument:
        """The manifest or index of this digest; a manifest's layers begin to download. Raises ShoalError."""
        body, document = await self.load_document(repository, digest)
        if not document.is_index:
            for child in document.children:
                self._blobs.prefetch(child.digest, Source(repository, "blobs"), child.size, _PREFETCH_SECONDS)
        return StoredDocument(body, Descriptor(document.media_type, digest, len(body)))

    def open_blob(self, repository: Repository, digest: Digest) -> AbstractAsyncContextManager[BlobReader]:
        return self._blobs.open_blob(digest, Source(repository, "blobs"))

    async def load_document(self, repository: Repository, digest: Digest) -> tuple[bytes, Document]:
        """The bytes of a document and what they say; nothing else begins. Raises ShoalError."""
        body = self._store.read(digest, MAX_DOCUMENT_BYTES)
        if body is None:
            body = await self._fetch(repository, digest)
        document = parse_document(body)
        if self._store.media_type_of(repository, digest) is None:
            descriptor = Descriptor(document.media_type, digest, len(body))
            await self._hop(self._store.put_document, repository, descriptor, document.children)
        return body, document

    async def _fetch(self, repository: Repository, digest: Digest) -> bytes:
        async with self._blobs.open_download(digest, Source(repository, "manifests")) as download:
            await download.wait_ended()
            if download.failure is not None:
                raise download.failure
        body = self._store.read(digest, MAX_DOCUMENT_BYTES)
        if body is None:
            raise SourceError(f"the download of {digest} was stopped")
        return body
