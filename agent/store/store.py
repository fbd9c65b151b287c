"""`Store`: everything this node keeps on disk; the facade of agent.store.

Synchronous and thread-safe. Cheap enough to call inline from a trio task: size_of, open_blob, find_tag and the other
questions. Worth a thread hop: put and put_tag (fsync), open_partial (hashes what it resumes), write_chunk, commit,
make_room, verify, chunk_digests of a blob that was not downloaded here.
Several processes may use one store at a time. What each part keeps true is said in its module: blobs.py (complete
content and index.json), partial.py (downloads), room.py and eviction.py (limits), index.py (who knows what).
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from agent.content.digest import Digest
from agent.content.document import Descriptor
from agent.content.errors import ContentError, DiskError
from agent.content.reference import Repository
from agent.store.blob_index import BlobIndex
from agent.store.blobs import Blobs, OpenBlob
from agent.store.content_graph import Child, ContentGraph
from agent.store.database import Database
from agent.store.disk_errors import disk_errors
from agent.store.index import DocumentRecord, ImageIndex, TagRecord
from agent.store.layout import Layout
from agent.store.owner import Owner
from agent.store.partial import PartialBlob
from agent.store.pins import Pin, Pins
from agent.store.push_queue import PushQueue
from agent.store.pushed import PushedNames
from agent.store.removal import Removal
from agent.store.reserve import reserve
from agent.store.room import Room, RoomParts
from agent.store.staging import Staging
from agent.store.upload_sessions import UploadSessions
from agent.store.uploads import Uploads
from agent.store.usage import StoreLimits, Usage

__all__ = ["ImageRecord", "OpenBlob", "PartialBlob", "Store", "StoreLimits", "TagRecord", "Usage"]

NO_LIMITS = StoreLimits()
_DELETED_SECONDS = 30 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """An image as `images` lists it. size: bytes of the document and of what is here beneath it.

    complete: it can run from here; for an index, at least one of its platforms can. pulled_at: seconds since the epoch.
    """

    repository: Repository
    tag: str | None
    digest: Digest
    media_type: str
    size: int
    complete: bool
    pulled_at: float


class Store:
    def __init__(
        self, root: Path, limits: StoreLimits = NO_LIMITS, now: Callable[[], float] = time.time
    ) -> None:
        """Opens or creates the store at `root`, and clears up after killed processes. Raises DiskError."""
        self.root = Path(root).absolute()
        self._now = now
        self._hold_counts: Counter[Digest] = Counter()
        self._hold_lock = Lock()
        self._closed = False
        with disk_errors("open the store", self.root), ExitStack() as opened:
            layout = Layout(self.root)
            layout.create()
            opened.enter_context(reserve(layout.reserve))
            self._owner = Owner(layout)
            opened.callback(self._owner.close)
            database = Database(layout.database)
            opened.callback(database.close)
            self._records = BlobIndex(database, now())
            self._images = ImageIndex(database)
            self._pins = Pins(database)
            self._blobs = Blobs(layout, self._records, self._images, self._owner, now)
            opened.callback(self._blobs.close)
            self.push_queue = PushQueue(database)
            self.upload_sessions = UploadSessions(database, now)
            parts = RoomParts(
                layout,
                self._records,
                self._images,
                self._pins,
                self._blobs,
                self._owner,
                self.push_queue.digests,
            )
            self._room = Room(parts, limits, now)
            opened.callback(self._room.close)
            self.uploads = Uploads(
                layout.uploads, self._room.admit, self._blobs.take, limits.upload_seconds, now
            )
            self.pushed = PushedNames(database)
            self._removal = Removal(database, self._images, self._records, self._blobs, self._room.held)
            self._clear_up()
            self._opened = opened.pop_all()

    def close(self) -> None:
        """Writes what was batched. Partials and open blobs are their users' to close."""
        if self._closed:
            return
        self._closed = True
        with disk_errors("close the store", self.root), self._opened:
            self._records.flush()
            if self._blobs.is_behind:
                self._blobs.publish()
            if self._hold_counts:
                self._records.release(self._owner.token)

    def _clear_up(self) -> None:
        for token in self._owner.dead():
            self._records.release(token)
        self._blobs.reconcile()
        self._room.sweep_partials()
        self.uploads.sweep()
        self.pushed.forget_deleted(self._now() - _DELETED_SECONDS)

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- blobs --------------------------------------------------------------------------------------------------

    def size_of(self, digest: Digest) -> int | None:
        """Bytes of a complete blob, None where it is not here."""
        return self._blobs.size_of(digest)

    def open_blob(self, digest: Digest) -> OpenBlob | None:
        """A complete blob, for sendfile; the caller closes. Counts as a use. No SQL."""
        return self._blobs.open(digest)

    def read(self, digest: Digest, limit_bytes: int) -> bytes | None:
        """All of a small blob. Raises ContentError where it is larger than `limit_bytes`."""
        return self._blobs.read(digest, limit_bytes)

    def put(self, digest: Digest, data: bytes) -> None:
        """Keep small content. Raises ContentError where it is not what `digest` names, DiskError."""
        if Digest.of(data, digest.algorithm) != digest:
            raise ContentError(f"{len(data)} bytes do not match {digest}")
        if self.size_of(digest) != len(data):
            self._room.admit(len(data))
            self._blobs.put(digest, data)

    def open_partial(self, digest: Digest, size: int) -> PartialBlob:
        """Begin or resume the download of a blob of `size` bytes; the caller closes.

        Raises DiskError where the limits leave no room. Hashes again what an earlier attempt recorded (under a second
        a GB). A partial that another process, or another call here, has open is not shared: this is another one then.
        """
        if self._closed:
            raise DiskError(f"the store of {self.root} is closed")
        claim = self._room.claim_partial(digest, size)
        try:
            return PartialBlob(digest, size, claim, self._blobs.adopt)
        except BaseException:
            claim.release()
            raise

    def partial_size(self, digest: Digest) -> int | None:
        """What an earlier download took this blob's size to be; nobody has verified it. None where there was none."""
        return self._room.partial_size(digest)

    def staging(self) -> Staging:
        """For content of this machine, whose digest nobody knows yet; use it in a `with`."""
        return Staging(self._owner.staged_path, self._room.admit, self._blobs.adopt_staged)

    def chunk_digests(self, digest: Digest) -> list[bytes] | None:
        """BLAKE3-256 of each chunk of a complete blob. Where none were recorded the blob is read and verified.

        None where it is not here, or turned out damaged (it is removed then).
        """
        return self._blobs.chunk_digests(digest)

    def verify(self, digest: Digest) -> bool:
        """Hash a blob again; a damaged one is removed. True where it is here and whole."""
        return self._blobs.verify(digest)

    def damaged(self) -> list[Digest]:
        """What was here, turned out damaged or gone, and is not here again."""
        return self._blobs.damaged()

    def forget_damage(self, digests: Iterable[Digest]) -> None:
        """They are here again, or nobody needs them."""
        self._blobs.forget_damage(digests)

    def remove(self, digest: Digest) -> None:
        """Remove a blob, whoever holds it. Descriptors that are open stay readable."""
        self._blobs.remove([digest])

    def needs_of(self, root: Digest) -> set[Digest]:
        """The document and all beneath it, here or not, as far as known."""
        return self._images.graph({}).closure([root])

    def needed_by(self, roots: Iterable[Digest]) -> list[tuple[Digest, int]]:
        """What is here of these documents and of all beneath them, and its size."""
        graph = self._images.graph(self._records.sizes())
        return [(one, graph.present[one]) for one in graph.closure(roots) if one in graph.present]

    def complete_digests(self) -> list[tuple[Digest, int]]:
        """Every complete blob and its size."""
        return list(self._records.sizes().items())

    # --- what is known ------------------------------------------------------------------------------------------

    def put_tag(self, repository: Repository, tag: str, descriptor: Descriptor, checked_at: float) -> None:
        if self._images.put_tag(repository, tag, descriptor, checked_at, self._now()):
            self._blobs.publish_soon()

    def tags(self) -> list[TagRecord]:
        """All of them."""
        return self._images.tags()

    def find_tag(self, repository: Repository, tag: str) -> TagRecord | None:
        return self._images.find_tag(repository, tag)

    def is_tagged(self, repository: Repository, digest: Digest) -> bool:
        """Does a tag of this repository point to it?"""
        return self._images.is_tagged(repository, digest)

    @property
    def is_layout_behind(self) -> bool:
        """Does index.json not yet say what it should? `publish_layout` writes it."""
        return self._blobs.is_behind

    def publish_layout(self) -> None:
        self._blobs.publish()

    def remove_tag(self, repository: Repository, tag: str) -> bool:
        """True where there was one."""
        removed = self._images.remove_tag(repository, tag)
        if removed:
            self._blobs.publish_soon()
        return removed

    def put_document(
        self, repository: Repository, descriptor: Descriptor, children: Iterable[Descriptor]
    ) -> None:
        """A manifest or an index, verified, is known under this repository, and so is what it names."""
        if self._images.put_document(repository, descriptor, children, self._now()):
            self._blobs.publish_for(descriptor.digest)

    def media_type_of(self, repository: Repository, digest: Digest) -> str | None:
        """Of a document that was put under this repository; None for anything else."""
        return self._images.media_type_of(repository, digest)

    def is_linked(self, repository: Repository, digest: Digest) -> bool:
        """Does a document of this repository name it, or is it one?"""
        return self._images.is_linked(repository, digest)

    def link(self, repository: Repository, descriptor: Descriptor) -> None:
        """Content that no document names yet is known under this repository, after a power cut too."""
        self._images.link(repository, descriptor, self._now())

    def unlink(self, repository: Repository, digest: Digest) -> bool:
        """It is known under this repository no more; what nothing else knows, names or keeps is removed. True where
        it was known.
        """
        was_known = self._images.unlink(repository, digest)
        self._pins.sweep(self._now())
        if was_known and self._images.is_loose(digest):
            self.remove(digest)
        return was_known

    def knows(self, repository: Repository) -> bool:
        """Is anything known under this repository?"""
        return self._images.knows(repository)

    def linked_size(self, digest: Digest) -> int | None:
        """The size that known documents give this digest; nobody has verified it."""
        return self._images.linked_size(digest)

    def repositories_of(self, digest: Digest) -> list[Repository]:
        """Where it is known from, most recently linked first."""
        return self._images.repositories_of(digest)

    def images(self) -> list[ImageRecord]:
        """Tagged images, and documents under no tag and no index; by reference."""
        graph = self._images.graph(self._records.sizes())
        tags = self._images.tags()
        named = {
            (tag.repository, digest) for tag in tags for digest in graph.closure([tag.descriptor.digest])
        }
        beneath = {child.digest for children in graph.children.values() for child in children}
        loose = [
            one
            for one in self._images.documents()
            if (one.repository, one.digest) not in named
            and one.digest not in beneath
            and one.digest in graph.present
        ]
        found = [_tagged(tag, graph) for tag in tags] + [_untagged(one, graph) for one in loose]
        return sorted(found, key=lambda image: (image.repository, image.tag or "", image.digest))

    def pin(self, digest: Digest, reason: str, *, seconds: float | None = None, weak: bool = False) -> None:
        """Keep it, and what it needs, from eviction until unpinned for the same reason, or for so long. `weak`: it is
        known by its digest alone, see pins.py."""
        until = None if seconds is None else self._now() + seconds
        self._pins.put(digest, reason, self._now(), until=until, weak=weak)

    def unpin(self, digest: Digest, reason: str) -> None:
        self._pins.remove(digest, reason)

    def pins(self) -> dict[Digest, list[str]]:
        """What is pinned, and for which reasons."""
        return self._pins.reasons(self._now())

    def pins_of(self, reason: str) -> list[Pin]:
        """What is pinned for this reason."""
        return self._pins.of_reason(reason)

    def remove_loose(self, idle_seconds: float) -> dict[Digest, int]:
        """Blobs that nobody knows, needs, or has used for so long: those and their sizes."""
        self._pins.sweep(self._now())
        return self._removal.remove_loose(self._now() - idle_seconds)

    def remove_image(self, repository: Repository, root: Digest) -> dict[Digest, int]:
        """Forget a document that no tag of the repository leads to, and remove the blobs that nothing else needs: those
        and their sizes.
        """
        return self._removal.remove(repository, root)

    # --- room ---------------------------------------------------------------------------------------------------

    @contextmanager
    def holding(self, digests: Iterable[Digest] = ()) -> Iterator[Callable[[Iterable[Digest]], None]]:
        """Keep these, and what they need, from eviction; also by other processes, until the block or this process ends.
        What it gives holds more of them, as long.

        Hold first, then look what is here: what is here then stays.
        """
        held: set[Digest] = set()

        def hold(more: Iterable[Digest]) -> None:
            wanted = set(more) - held
            if wanted:
                self._hold(wanted)
                held.update(wanted)

        try:
            hold(digests)
            yield hold
        finally:
            self._let_go(held)

    def _hold(self, wanted: set[Digest]) -> None:
        with self._hold_lock:
            new = [digest for digest in wanted if not self._hold_counts[digest]]
            if new:
                with self._blobs.lock.held():
                    self._records.hold(self._owner.token, new)
            self._hold_counts.update(wanted)

    def _let_go(self, held: set[Digest]) -> None:
        with self._hold_lock:
            self._hold_counts.subtract(held)
            free = {digest for digest in held if self._hold_counts[digest] <= 0}
            for digest in free:
                del self._hold_counts[digest]
            if free and not self._closed:
                self._records.release(self._owner.token, free)

    def make_room(self, wanted_bytes: int) -> int:
        """Evict, least recently used first, until the limits hold with `wanted_bytes` more; bytes freed."""
        self._records.flush()
        return self._room.make_room(wanted_bytes)

    def usage(self) -> Usage:
        return self._room.usage()


def _tagged(tag: TagRecord, graph: ContentGraph) -> ImageRecord:
    return _image(
        graph, tag.repository, tag.tag, tag.descriptor.digest, tag.descriptor.media_type, tag.pulled_at
    )


def _untagged(one: DocumentRecord, graph: ContentGraph) -> ImageRecord:
    return _image(graph, one.repository, None, one.digest, one.media_type, one.linked_at)


def _image(
    graph: ContentGraph, repository: Repository, tag: str | None, digest: Digest, media_type: str, at: float
) -> ImageRecord:
    size = graph.size_here(digest)
    complete = bool(graph.complete_parts(Child(digest, media_type, size)))
    return ImageRecord(repository, tag, digest, media_type, size, complete, at)
