"""`Images`: images as the registry endpoint and `shoal pull` see them: tags, manifests and indexes, blobs.

A manifest tells every layer's size and digest, so all of them start when it is served, before the client asks for one.
Documents are fetched as blobs are, through the swarm; what is served is kept in the index with where it is known from.
"""

from contextlib import AbstractAsyncContextManager

import trio

from agent.content.digest import Digest
from agent.content.document import (
    MAX_DOCUMENT_BYTES,
    MAX_PUSHED_DOCUMENT_BYTES,
    Descriptor,
    Document,
    parse_document,
)
from agent.content.errors import ContentError, NotFound, SourceError
from agent.content.reference import Repository
from agent.content.stored import Resolved, StoredDocument
from agent.node.blobs import BlobReader, Blobs
from agent.node.cluster_names import ClusterNames
from agent.node.hop import Hop
from agent.node.local_names import LocalNames
from agent.node.source import Source
from agent.node.tags import Tags
from agent.store.store import Store

_PREFETCH_SECONDS = (
    120.0  # a client fetches three layers at a time: the last of many has to wait for its turn
)


class Images:
    def __init__(
        self,
        store: Store,
        blobs: Blobs,
        tags: Tags,
        names: ClusterNames,
        local_names: LocalNames,
        hop: Hop,
    ) -> None:
        self._names = names
        self._local_names = local_names
        self._store = store
        self._blobs = blobs
        self._tags = tags
        self._hop = hop

    async def resolve(self, repository: Repository, tag: str) -> Resolved:
        if repository.is_of_cluster:
            await self._local_names.publish_if_new(repository, tag)
            return await self._names.resolve(repository, tag)
        return await self._tags.resolve(repository, tag)

    async def is_ours(self, repository: Repository, *, now: bool) -> bool:
        """Has the cluster itself anything in this repository? `now`: not as of a moment ago."""
        return await self._names.exists(repository, now=now)

    async def get_document(self, repository: Repository, digest: Digest) -> StoredDocument:
        """The manifest or index of this digest; a manifest's layers begin to download. Raises ShoalError."""
        body, document = await self.load_document(repository, digest)
        if not document.is_index:
            for child in document.children:
                self._blobs.prefetch(child.digest, Source(repository, "blobs"), child.size, _PREFETCH_SECONDS)
                await (
                    trio.lowlevel.checkpoint()
                )  # in this order: trio may run those that start together backwards
        return StoredDocument(body, Descriptor(document.media_type, digest, len(body)))

    def open_blob(self, repository: Repository, digest: Digest) -> AbstractAsyncContextManager[BlobReader]:
        """Raises NotFound at once for what the cluster's own repository does not know."""
        if not self._is_readable(repository, digest):
            raise NotFound(f"{repository} has no blob {digest}")
        return self._blobs.open_blob(digest, Source(repository, "blobs"))

    async def load_document(self, repository: Repository, digest: Digest) -> tuple[bytes, Document]:
        """The bytes of a document and what they say; nothing else begins. Raises ShoalError."""
        if repository.is_of_cluster:
            await self._names.check_document(repository, digest)
        elif not self._is_readable(repository, digest):
            await self._tags.confirm(repository, digest)
        return await self.load_unchecked(repository, digest)

    def _is_readable(self, repository: Repository, digest: Digest) -> bool:
        """What was pushed is read in the repositories that know it, and not through any name."""
        if self._store.is_linked(repository, digest):
            return True
        known = self._store.repositories_of(digest)
        return not repository.is_of_cluster and not (known and all(one.is_of_cluster for one in known))

    async def load_unchecked(self, repository: Repository, digest: Digest) -> tuple[bytes, Document]:
        """The same of a document that the tracker wants to be here before its name is known."""
        limit_bytes = MAX_PUSHED_DOCUMENT_BYTES if repository.is_of_cluster else MAX_DOCUMENT_BYTES
        body = self._store.read(digest, limit_bytes)
        if body is None:
            body = await self._fetch(repository, digest, limit_bytes)
        try:
            document = parse_document(body, None, limit_bytes)
        except ContentError:
            if repository.is_of_cluster:  # what is pushed was checked: this is a blob
                raise NotFound(f"{repository} has no manifest {digest}") from None
            raise
        if self._store.media_type_of(repository, digest) is None:
            descriptor = Descriptor(document.media_type, digest, len(body))
            await self._hop(self._store.put_document, repository, descriptor, document.children)
        return body, document

    async def _fetch(self, repository: Repository, digest: Digest, limit_bytes: int) -> bytes:
        async with self._blobs.open_download(digest, Source(repository, "manifests")) as download:
            await download.wait_ended()
        body = self._store.read(digest, limit_bytes)
        if body is None:
            raise download.failure or SourceError(f"the download of {digest} was stopped")
        return body
