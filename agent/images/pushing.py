"""`push_image`: an image of the store into a registry: every blob of it a few at a time, then its documents, each after
those that it names, so that the registry never knows a name of something that it lacks.

Of an index all platforms are pushed where all of them are here; else the one that runs on this machine, under its own
digest, as Docker does.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

import trio

from agent.content.digest import Digest
from agent.content.document import MAX_PUSHED_DOCUMENT_BYTES, Descriptor, parse_document
from agent.content.errors import ContentError, ShoalError
from agent.content.reference import Repository
from agent.images.local_image import LocalImage
from agent.images.stored_blob import open_stored
from agent.origin.pusher import OnSent, Outcome, Pusher
from agent.store.disk_errors import disk_error
from agent.store.store import OpenBlob, Store

_BLOBS_AT_A_TIME = 3
_MAX_DEPTH = 8
_MAX_SOURCES = 5  # each is a scope of the token that mounting asks for


@dataclass(frozen=True, slots=True)
class PushPlan:
    """`blobs`: each once. `documents`: each after those that it names, the last is `root`. `layers`: those of the blobs
    that are layers. `left_out`: an index that is not here completely, in whose place `root` is pushed."""

    root: Descriptor
    blobs: tuple[Descriptor, ...]
    documents: tuple[tuple[Descriptor, bytes], ...]
    layers: frozenset[Digest]
    left_out: Digest | None = None


class PushView(Protocol):
    """Watches a push."""

    def on_sent(self, blob: Descriptor, sent_bytes: int) -> None: ...

    def on_blob(self, blob: Descriptor, outcome: Outcome, source: Repository | None) -> None: ...


def plan_push(store: Store, image: LocalImage) -> PushPlan:
    """Raises ContentError where the image is not here completely."""
    try:
        return _plan(store, image.root)
    except ContentError:
        if image.root.digest == image.manifest.digest:
            raise
    return replace(_plan(store, image.manifest), left_out=image.root.digest)


def _where_it_is(repository: Repository) -> Repository | None:
    return repository


def mount_sources(
    store: Store,
    wanted: Repository,
    blobs: Sequence[Descriptor],
    place_of: Callable[[Repository], Repository | None] = _where_it_is,
) -> dict[Digest, Repository]:
    """Repositories of the same registry that may have blobs of this image, by where they were seen. `place_of`: on
    which repository of a registry the content of one that is known here is; None: on none."""
    sources: dict[Digest, Repository] = {}
    for blob in blobs:
        known = [place for one in store.repositories_of(blob.digest) if (place := place_of(one)) is not None]
        others = [one for one in known if one.registry == wanted.registry]
        chosen = set(sources.values())
        for other in sorted(others, key=lambda one: one not in chosen):
            if other != wanted and (other in chosen or len(chosen) < _MAX_SOURCES):
                sources[blob.digest] = other
                break
    return sources


class StoredSessions:
    """The store's upload sessions, for a pusher: written in a thread."""

    def __init__(self, store: Store) -> None:
        self._sessions = store.upload_sessions

    async def find(self, repository: Repository, digest: Digest) -> str | None:
        return self._sessions.find(repository, digest)

    async def keep(self, repository: Repository, digest: Digest, url: str) -> None:
        await trio.to_thread.run_sync(self._sessions.keep, repository, digest, url)

    async def forget(self, repository: Repository, digest: Digest) -> None:
        if self._sessions.find(repository, digest) is not None:
            await trio.to_thread.run_sync(self._sessions.forget, repository, digest)


@dataclass(slots=True)
class _Push:
    store: Store
    pusher: Pusher
    sources: dict[Digest, Repository]
    view: PushView
    failures: list[ShoalError] = field(default_factory=list)

    async def push_blobs(self, blobs: Sequence[Descriptor]) -> None:
        """Raises the first failure; it ends the others."""
        waiting = iter(blobs)
        async with trio.open_nursery() as nursery:
            for _ in range(_BLOBS_AT_A_TIME):
                nursery.start_soon(self._push_each, waiting, nursery.cancel_scope)
        if self.failures:
            raise self.failures[0]

    async def _push_each(self, waiting: Iterator[Descriptor], scope: trio.CancelScope) -> None:
        for blob in waiting:
            try:
                await self._push_blob(blob)
            except ShoalError as error:
                self.failures.append(error)
                scope.cancel()
                return

    async def _push_blob(self, blob: Descriptor) -> None:
        source = self.sources.get(blob.digest)
        on_sent: OnSent = partial(self.view.on_sent, blob)
        with open_stored(self.store, blob.digest) as opened:
            outcome = await self.pusher.push_blob(_StoredContent(blob.digest, opened), source, on_sent)
        self.view.on_blob(blob, outcome, source if outcome == "mounted" else None)


async def push_image(
    store: Store,
    plan: PushPlan,
    pusher: Pusher,
    target: str,
    sources: dict[Digest, Repository],
    view: PushView,
) -> None:
    """`target`: the tag, or the digest of the plan's root. Raises what the pusher raises, ContentError for a blob that
    is damaged or gone, DiskError."""
    with store.holding([*(blob.digest for blob in plan.blobs), plan.root.digest]):
        await push_blobs(store, plan, pusher, sources, view)
        await push_documents(plan, pusher, target)


async def push_blobs(
    store: Store, plan: PushPlan, pusher: Pusher, sources: dict[Digest, Repository], view: PushView
) -> None:
    """The first half: nothing is named yet. They are the caller's to hold. Raises as `push_image`."""
    await _Push(store, pusher, sources, view).push_blobs(plan.blobs)


async def push_documents(plan: PushPlan, pusher: Pusher, target: str) -> None:
    """The second half. Raises what the pusher raises."""
    for descriptor, body in plan.documents:
        is_root = descriptor.digest == plan.root.digest
        await pusher.push_manifest(target if is_root else str(descriptor.digest), body, descriptor.media_type)


class _StoredContent:
    """A Content of the store, read in a thread: the disk may be slow."""

    def __init__(self, digest: Digest, blob: OpenBlob) -> None:
        self.digest = digest
        self.size = blob.size
        self._blob = blob

    async def read_at(self, position: int, limit_bytes: int) -> bytes:
        return await trio.to_thread.run_sync(self._read_at, position, limit_bytes)

    def _read_at(self, position: int, limit_bytes: int) -> bytes:
        try:
            return os.pread(self._blob.fd, limit_bytes, position)
        except OSError as error:
            raise disk_error(error, "read a blob", "the store") from error


def _plan(store: Store, root: Descriptor) -> PushPlan:
    blobs: dict[Digest, Descriptor] = {}
    documents: dict[Digest, tuple[Descriptor, bytes]] = {}
    layers: set[Digest] = set()
    _collect(store, root, blobs, documents, layers)
    missing = [digest for digest in blobs if store.size_of(digest) is None]
    if missing:
        raise _not_here(root, missing[0])
    return PushPlan(root, tuple(blobs.values()), tuple(documents.values()), frozenset(layers))


def _collect(
    store: Store,
    descriptor: Descriptor,
    blobs: dict[Digest, Descriptor],
    documents: dict[Digest, tuple[Descriptor, bytes]],
    layers: set[Digest],
    depth: int = 0,
) -> None:
    """Depth first: what a document names comes before it."""
    if descriptor.digest in documents:
        return
    body = store.read(descriptor.digest, MAX_PUSHED_DOCUMENT_BYTES)
    if body is None:
        raise _not_here(descriptor, descriptor.digest)
    if depth > _MAX_DEPTH:
        raise ContentError(f"{descriptor.digest} is an index within more than {_MAX_DEPTH} others")
    document = parse_document(body, descriptor.media_type, MAX_PUSHED_DOCUMENT_BYTES)
    for child in document.children:
        if document.is_index:
            _collect(store, child, blobs, documents, layers, depth + 1)
        else:
            blobs.setdefault(child.digest, child)
    layers.update(layer.digest for layer in document.layers)
    documents[descriptor.digest] = (replace(descriptor, media_type=document.media_type), body)


def _not_here(root: Descriptor, missing: Digest) -> ContentError:
    return ContentError(f"{root.digest} is not here completely ({missing} is missing): pull it again")
