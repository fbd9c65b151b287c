"""`Blobs`: complete content: how it appears, is read, is named in index.json, and goes.

Invariant, under the layout lock that all processes share: a row in the index follows the rename of its file and goes
before it does, and index.json is rewritten after the row appears and before the file goes. So at every instant
index.json <= rows <= files, and a kill in between leaves only files that `reconcile` finds again.
With thousands of images a new index.json takes its time. Whoever opens the store leaves it alone where nothing has
changed since it was written (the database counts). It may stay behind what appears: what comes soon after it was
written is written together, by `publish` before the store closes or when its user says so (`is_behind`).
"""

import logging
import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from agent.content.chunk_map import ChunkMap
from agent.content.digest import Digest
from agent.content.errors import ContentError, DiskError
from agent.store.blob_index import BlobIndex
from agent.store.content_graph import Child
from agent.store.damage import DamageList
from agent.store.disk_errors import disk_error, disk_errors
from agent.store.file_lock import ProcessLock
from agent.store.index import ImageIndex
from agent.store.layout import Layout, replace_file, write_file
from agent.store.layout_index import render_layout_index
from agent.store.owner import Owner
from agent.store.partial_files import Claim

_LOG = logging.getLogger(__name__)
CHUNK_DIGEST_BYTES = 32
_PUBLISH_REST = 20  # times as long as it took: at most one part in twenty of the time goes into index.json


@dataclass(slots=True)
class OpenBlob:
    """A complete blob, open for reading; stays readable when it is evicted. Close it, or use it in a `with`."""

    fd: int
    size: int

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __enter__(self) -> "OpenBlob":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Blobs:
    def __init__(
        self,
        layout: Layout,
        records: BlobIndex,
        images: ImageIndex,
        owner: Owner,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._layout = layout
        self._records = records
        self._images = images
        self._owner = owner
        self._now = now
        self._not_before = 0.0  # on the monotonic clock
        self.is_behind = False
        self._damage = DamageList(layout.root / "damaged")
        self.lock = ProcessLock(layout.layout_lock)

    def close(self) -> None:
        self.lock.close()

    # --- reading (no SQL) ---------------------------------------------------------------------------------------

    def size_of(self, digest: Digest) -> int | None:
        try:
            return os.stat(self._layout.blob_path(digest)).st_size  # noqa: PTH116 (hot: a Path costs more)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise disk_error(error, f"look for {digest}", self._layout.root) from error

    def open(self, digest: Digest) -> OpenBlob | None:
        try:
            fd = os.open(self._layout.blob_path(digest), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise disk_error(error, f"open {digest}", self._layout.root) from error
        self._records.touch(digest, self._now())
        return OpenBlob(fd, os.fstat(fd).st_size)

    def read(self, digest: Digest, limit_bytes: int) -> bytes | None:
        blob = self.open(digest)
        if blob is None:
            return None
        with blob, disk_errors(f"read {digest}", self._layout.root):
            if blob.size > limit_bytes:
                raise ContentError(f"{digest} has {blob.size} bytes: at most {limit_bytes} are accepted here")
            with open(blob.fd, "rb", closefd=False) as file:
                return file.read(limit_bytes)

    # --- appearing ----------------------------------------------------------------------------------------------

    def put(self, digest: Digest, data: bytes) -> None:
        """`data` was verified."""
        chunk_map = ChunkMap.of(len(data))
        view = memoryview(data)
        chunks = [blake3(view[slice(*chunk_map.span(index))]).digest() for index in range(chunk_map.count)]
        with disk_errors(f"write {len(data)} bytes of {digest}", self._layout.root):
            staged = Path(self._owner.staged_path(digest.short))
            write_file(staged, data)
            try:
                self._appear(staged, digest, len(data), b"".join(chunks))
            finally:
                staged.unlink(missing_ok=True)

    def adopt(self, claim: Claim, digest: Digest, size: int, chunk_digests: bytes) -> None:
        """Take over a partial's verified, fsynced file; the claim stays with its owner."""
        self._appear(claim.data_path, digest, size, chunk_digests)
        with disk_errors(f"remove what is left of the download of {digest}", self._layout.root):
            claim.unlink()

    def take(self, source: Path, digest: Digest, size: int, chunk_digests: bytes) -> None:
        """Take over a verified, fsynced file of this file system."""
        self._appear(source, digest, size, chunk_digests)

    def adopt_staged(self, staged: Path, digest: Digest, size: int) -> None:
        """Take over a file of staging/, fsynced, that was hashed when it was written. Its chunk digests are made when
        somebody asks for them."""
        self._appear(staged, digest, size, b"")

    def _appear(self, source: Path, digest: Digest, size: int, chunk_digests: bytes) -> None:
        with self.lock.held(), disk_errors(f"store {size} bytes of {digest}", self._layout.root):
            is_new = self.size_of(digest) != size  # else another process was faster, with the same bytes
            if is_new:
                self._layout.adopt(source, digest)
            try:
                self._records.record(digest, size, chunk_digests, self._now())
            except DiskError:
                if is_new:
                    self._layout.give_back(digest, source)
                raise
            try:
                self.publish_for(digest)
            except DiskError as error:  # behind, not wrong: whatever is published next mends it
                _LOG.warning("index.json does not name %s yet: %s", digest, error)

    # --- going --------------------------------------------------------------------------------------------------

    def remove(self, digests: Iterable[Digest]) -> None:
        gone = list(digests)
        with self.lock.held(), disk_errors("remove blobs", self._layout.root):
            self._records.forget(gone)
            self.publish()  # nothing may go that it names
            for digest in gone:
                self._layout.remove(digest)

    def reconcile(self) -> None:
        """At the start: let rows and index.json follow the files that are there."""
        with self.lock.held(), disk_errors("read the blobs", self._layout.root):
            files = {name: (status.st_size, status.st_mtime) for name, status in self._layout.scan_blobs()}
            damaged, lost = self._records.reconcile(files)
            self._note_damage([*damaged, *lost])
            if not self._images.is_layout_current(self._index_json_stamp()):
                self.publish()
            for digest in damaged:
                self._layout.remove(digest)

    # --- what was lost ------------------------------------------------------------------------------------------

    def damaged(self) -> list[Digest]:
        """What was here, turned out damaged or gone, and is not here again."""
        with self.lock.held(), disk_errors("read what was damaged", self._layout.root):
            return [digest for digest in self._damage.read() if self.size_of(digest) is None]

    def forget_damage(self, digests: Iterable[Digest]) -> None:
        with self.lock.held(), disk_errors("record what is repaired", self._layout.root):
            self._damage.remove(digests, Path(self._owner.staged_path("damaged")))

    def _note_damage(self, digests: list[Digest]) -> None:
        if digests:
            with self.lock.held(), disk_errors("record what is damaged", self._layout.root):
                self._damage.add(digests, Path(self._owner.staged_path("damaged")))

    # --- index.json ---------------------------------------------------------------------------------------------

    def publish_for(self, digest: Digest) -> None:
        """`digest` has appeared, or become known as a document: rewrite index.json if that can complete an image."""
        if self._images.may_complete_a_tag(digest):
            self.publish_soon()

    def publish_soon(self) -> None:
        """Rewrite index.json, now or together with what comes next."""
        if time.monotonic() < self._not_before:
            self.is_behind = True
        else:
            self.publish()

    def publish(self) -> None:
        """Rewrite index.json where it says something else."""
        began = time.monotonic()
        self.is_behind = False
        with self.lock.held(), disk_errors("write index.json", self._layout.root):
            changes = self._images.layout_changes()
            tags = [
                (
                    f"{tag.repository}:{tag.tag}",
                    Child(tag.descriptor.digest, tag.descriptor.media_type, tag.descriptor.size),
                )
                for tag in self._images.tags()
            ]
            wanted = render_layout_index(tags, self._images.graph(self._records.sizes()))
            path = self._layout.index_json
            if not path.exists() or path.read_bytes() != wanted:
                replace_file(path, wanted, Path(self._owner.staged_path("index.json")))
            with suppress(DiskError):  # then whoever opens the store next looks again
                self._images.note_layout(changes, self._index_json_stamp())
        now = time.monotonic()
        self._not_before = now + (now - began) * _PUBLISH_REST

    def _index_json_stamp(self) -> str:
        """Another one when somebody else has written it; "" where it is not there."""
        try:
            status = self._layout.index_json.stat()
        except FileNotFoundError:
            return ""
        return f"{status.st_ino} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"

    # --- chunk digests ------------------------------------------------------------------------------------------

    def chunk_digests(self, digest: Digest) -> list[bytes] | None:
        size = self.size_of(digest)
        if size is None:
            return None
        recorded = self._records.chunk_digests(digest)
        if recorded is None or len(recorded) != ChunkMap.of(size).count * CHUNK_DIGEST_BYTES:
            if not self.verify(digest):
                return None
            recorded = self._records.chunk_digests(digest) or b""
        return [recorded[at : at + CHUNK_DIGEST_BYTES] for at in range(0, len(recorded), CHUNK_DIGEST_BYTES)]

    def verify(self, digest: Digest) -> bool:
        """Read and hash a blob again; a damaged one is removed. Its chunk digests are recorded on the way."""
        blob = self.open(digest)
        if blob is None:
            return False
        hasher, chunk_map, chunks = digest.new_hasher(), ChunkMap.of(blob.size), []
        with blob, disk_errors(f"read {digest}", self._layout.root):
            for index in range(chunk_map.count):
                start, stop = chunk_map.span(index)
                data = os.pread(blob.fd, stop - start, start)
                hasher.update(data)
                chunks.append(blake3(data).digest())
        if not digest.matches(hasher):
            self.remove([digest])
            self._note_damage([digest])
            return False
        self._records.record_chunk_digests(digest, b"".join(chunks))
        return True
