"""`ManifestPushes`: manifests and indexes from clients: checked first, then stored, then known to the cluster.

A manifest is acknowledged when everything it names is here and known under its repository, it is stored byte for byte
and fsynced with what the index says of it, as many nodes hold it as the configuration wants, and the tracker knows its
tag. A kill in between leaves at most content that nobody asked for yet.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import trio

from agent.content import media_types
from agent.content.digest import Digest
from agent.content.document import MAX_PUSHED_DOCUMENT_BYTES, Descriptor, Document, parse_document
from agent.content.errors import ContentError, NotFound
from agent.content.pushed import PushedName
from agent.content.reference import Repository
from agent.node.blobs import Blobs
from agent.node.cluster_names import ClusterNames, pin_reason_of_digest
from agent.node.copies import CopyRules
from agent.node.holding import holding
from agent.node.hop import Hop
from agent.node.push_errors import InvalidManifest, MissingContent, WrongDigest
from agent.node.source import Source
from agent.node.tracker_session import TrackerSession
from agent.store.store import Store
from agent.wire.tracker_calls import MAX_INLINE_BYTES, SwarmReport

_FETCH_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Accepted:
    """A manifest that was pushed: its digest, and what it refers to."""

    digest: Digest
    subject: Digest | None


class ManifestPushes:
    def __init__(
        self,
        store: Store,
        blobs: Blobs,
        names: ClusterNames,
        tracker: TrackerSession,
        copies: CopyRules,
        hop: Hop,
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._names = names
        self._tracker = tracker
        self._copies = copies
        self._hop = hop

    async def push(
        self,
        repository: Repository,
        digest: Digest | None,
        tags: Sequence[str],
        body: bytes,
        content_type: str | None,
    ) -> Accepted:
        """`digest`: as the client names it, None for one that is pushed by its tag. Raises WrongDigest,
        InvalidManifest, MissingContent, TooFewCopies, DiskError.
        """
        own = digest or Digest.of(body)
        if Digest.of(body, own.algorithm) != own:
            raise WrongDigest(f"the {len(body)} bytes that were sent do not match {own}")
        try:
            document = parse_document(body, content_type, MAX_PUSHED_DOCUMENT_BYTES)
        except ContentError as error:
            raise InvalidManifest(str(error)) from None
        descriptor = Descriptor(document.media_type, own, len(body))
        async with holding(self._store, self._hop, [own, *(child.digest for child in document.children)]):
            await self._check_children(repository, document)
            await self._hop(self._keep, repository, descriptor, body, document, not tags)
            small = body if len(body) <= MAX_INLINE_BYTES else None
            self._tracker.tell(SwarmReport(own, len(body), complete=True, body=small))
            await self._copies.wait_copies(repository, descriptor, tags[0] if tags else str(own))
            subject = None if document.subject is None else document.subject.digest
            await self._names.publish(_names(repository, descriptor, subject, tags))
        return Accepted(own, subject)

    async def delete_tag(self, repository: Repository, tag: str) -> None:
        """Raises NotFound, DiskError."""
        record = (await self._names.find(repository, tag)).record
        if record is None or record.deleted:
            raise NotFound(f"{repository.name} has no tag {tag}")
        await self._names.publish([_deleted(record)])

    async def delete_manifest(self, repository: Repository, digest: Digest) -> None:
        """With the tags of this repository that point to it. Raises NotFound, DiskError."""
        await self._names.check_document(repository, digest)
        known = self._store.pushed.in_repository(repository.name)
        gone = [one for one in known if one.digest == digest and not one.deleted]
        if not any(one.name == str(digest) for one in gone):
            if self._store.media_type_of(repository, digest) is None:
                raise NotFound(f"{repository.name} has no manifest {digest}")
            size = self._store.size_of(digest) or 0
            gone.append(PushedName(repository.name, str(digest), digest, size, "", None, 0.0, b""))
        await self._names.publish([_deleted(one) for one in gone])
        self._tell_if_gone(digest)

    async def delete_blob(self, repository: Repository, digest: Digest) -> None:
        """Raises NotFound, DiskError."""
        if not await self._hop(self._store.unlink, repository, digest):
            raise NotFound(f"{repository.name} has no blob {digest}")
        self._tell_if_gone(digest)

    def _tell_if_gone(self, digest: Digest) -> None:
        if self._store.size_of(digest) is None:
            self._tracker.tell(SwarmReport(digest, None, left=True))

    async def _check_children(self, repository: Repository, document: Document) -> None:
        missing = [child for child in document.children if not self._is_here(repository, child)]
        for child in missing:
            # What this repository knows and this node has not got may be with others.
            if self._store.is_linked(repository, child.digest):
                await self._fetch(repository, child)
        missing = [child for child in missing if not self._is_here(repository, child)]
        if missing:
            named = ", ".join(str(child.digest) for child in missing[:10])
            raise MissingContent(
                f"{len(missing)} of what it names were not pushed to this repository: {named}"
            )

    def _is_here(self, repository: Repository, child: Descriptor) -> bool:
        """Raises InvalidManifest where its size is told wrong."""
        if child.media_type in media_types.NOT_DISTRIBUTED:
            return True  # such layers stay where their `urls` say
        size = self._store.size_of(child.digest)
        if child.media_type in media_types.DOCUMENTS:
            known = self._store.media_type_of(repository, child.digest) is not None
        else:
            known = self._store.is_linked(repository, child.digest)
        if size is None or not known:
            return False
        if size != child.size:
            raise InvalidManifest(f"{child.digest} has {size} bytes, not the {child.size} that are told")
        return True

    async def _fetch(self, repository: Repository, child: Descriptor) -> None:
        if self._store.size_of(child.digest) is not None:
            return
        source = Source(repository, "blobs")
        with trio.move_on_after(_FETCH_SECONDS):
            async with self._blobs.open_download(child.digest, source, child.size) as download:
                await download.wait_ended()

    def _keep(
        self, repository: Repository, descriptor: Descriptor, body: bytes, document: Document, pinned: bool
    ) -> None:
        self._store.put(descriptor.digest, body)
        self._store.put_document(repository, descriptor, document.children)
        if pinned:  # by its tags otherwise
            self._store.pin(descriptor.digest, pin_reason_of_digest(repository.name), weak=True)


def _names(
    repository: Repository, descriptor: Descriptor, subject: Digest | None, tags: Sequence[str]
) -> list[PushedName]:
    what = (descriptor.digest, descriptor.size, descriptor.media_type)
    by_digest = PushedName(repository.name, str(descriptor.digest), *what, subject, 0.0, b"")
    return [by_digest, *(PushedName(repository.name, tag, *what, None, 0.0, b"") for tag in tags)]


def _deleted(name: PushedName) -> PushedName:
    what = (name.digest, name.size, name.media_type)
    return PushedName(name.repository, name.name, *what, name.subject, 0.0, b"", deleted=True)
