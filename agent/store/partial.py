"""`PartialBlob`: a blob on its way: a sparse file, the chunks it verifiably has, the whole-blob hash so far.

Invariants
- `have` names only chunks whose bytes in the file have the BLAKE3 that `chunk_digest` tells. A chunk that is had is
  never written again (somebody may be reading it) until it is forgotten.
- Nothing reaches blobs/ before the whole digest matched and the file was fsynced.
- A resumed partial believes nothing: each recorded chunk is hashed again (chunk_log.py tells why).

Thread-safe: several chunks may be written at once. `have` may be read at any time. Who may own a partial is
partial_files.py's matter; what a commit means for the index is the store's.
"""

import os
import threading
from collections.abc import Callable

from blake3 import blake3

from agent.content.chunk_map import ChunkMap
from agent.content.chunk_set import ChunkSet
from agent.content.digest import Digest
from agent.content.errors import ContentError, DiskError
from agent.store.chunk_log import ChunkLog
from agent.store.disk_errors import disk_errors
from agent.store.layout import pwrite_all
from agent.store.partial_files import Claim
from agent.store.prefix_hash import PrefixHash

Adopt = Callable[[Claim, Digest, int, bytes], None]
"""Take a verified, fsynced file into blobs/: (files, digest, size, all chunk digests). Raises ShoalError."""


class PartialBlob:
    """Made by Store.open_partial. `fd` may be read by anyone until `close`, after the commit too."""

    def __init__(self, digest: Digest, size: int, claim: Claim, adopt: Adopt) -> None:
        """Takes over `claim`. Reads and hashes what was recorded before. Raises DiskError."""
        self.digest = digest
        self.map = ChunkMap.of(size)
        self.have = ChunkSet()
        self._claim = claim
        self._adopt = adopt
        self._chunk_digests: dict[int, bytes] = {}
        self._prefix = PrefixHash(digest, self.map)
        self._writing: set[int] = set()
        self._state = threading.Condition()  # guards have, _chunk_digests, _writing, _log, _closed
        self._commit_lock = threading.Lock()
        self._committed = self._closed = False
        self._log = ChunkLog(claim.log_fd)
        with disk_errors(f"open the partial blob {digest.short} of {size} bytes", claim.data_path.parent):
            self.fd = os.open(claim.data_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                self._resume()
            except BaseException:
                os.close(self.fd)
                raise

    def write_chunk(self, index: int, data: memoryview | bytes, expected: bytes | None) -> bytes:
        """Verify, write and record one chunk; returns its BLAKE3-256.

        `expected` None: nobody has vouched for it yet. Raises ContentError (nothing written), DiskError (not had),
        IndexError outside the blob. A chunk that is had already is compared, not written.
        """
        if len(data) != self.map.length(index):
            raise ContentError(
                f"chunk {index} of {self.digest} has {len(data)} bytes: expected {self.map.length(index)}"
            )
        chunk_digest = blake3(data).digest()
        if expected is not None and chunk_digest != expected:
            raise ContentError(f"chunk {index} of {self.digest} does not match its BLAKE3")
        if not self._begin_writing(index):
            return self._compare(index, chunk_digest)
        try:
            with disk_errors(f"write {len(data)} bytes of {self.digest}", self._claim.data_path.parent):
                pwrite_all(self.fd, data, self.map.span(index)[0])
                with self._state:
                    self._log.append(index, chunk_digest)
                    self._chunk_digests[index] = chunk_digest
                    self.have = self.have.add(index)
            self._prefix.extend_nowait(index, data)
        finally:
            self._end_writing(index)
        return chunk_digest

    def chunk_digest(self, index: int) -> bytes | None:
        """BLAKE3-256 of a chunk that is had."""
        return self._chunk_digests.get(index)

    @property
    def unhashed_bytes(self) -> int:
        """How far the whole-blob hash is behind the contiguous prefix, to a chunk."""
        hashed = self._prefix.next_index
        return (self.have.first_missing(hashed) - hashed) * self.map.chunk_bytes

    def hash_prefix(self, limit_bytes: int) -> bool:
        """Catch up the whole-blob hash over chunks that came out of order, by about `limit_bytes` (one chunk at least).

        True while more could be hashed now. Raises DiskError.
        """
        with disk_errors(f"read {self.digest}", self._claim.data_path.parent):
            return self._prefix.catch_up(self.fd, lambda: self.have, limit_bytes)

    def verify(self) -> None:
        """Does the whole match its digest? Raises ContentError (chunks missing, or a wrong digest), DiskError."""
        missing = self.map.count - len(self.have)
        if missing:
            raise ContentError(
                f"{self.digest} is incomplete: {missing} of {self.map.count} chunks are missing"
            )
        self.hash_prefix(self.map.size)
        if not self._prefix.matches():
            raise ContentError(f"the {self.map.size} bytes received for {self.digest} do not match it")

    def commit(self) -> None:
        """Make it a blob. Raises ContentError (chunks missing, or another digest: nothing changes), DiskError."""
        with self._commit_lock:
            if self._committed:
                return
            if self._closed:
                raise DiskError(f"the partial blob {self.digest} is closed")
            self.verify()
            self._fsync()
            digests = b"".join(self._chunk_digests[index] for index in range(self.map.count))
            self._adopt(self._claim, self.digest, self.map.size, digests)
            self._committed = True

    def forget(self, chunks: ChunkSet) -> None:
        """These chunks are no longer had (a committed blob was verified: nothing to forget). Raises DiskError."""
        with self._state:
            self._state.wait_for(lambda: not any(index in chunks for index in self._writing))
            if self._closed or self._committed:
                return
            gone = chunks & self.have
            self.have -= gone
            for index in gone:
                del self._chunk_digests[index]
            if gone:
                self._prefix.rewind_before(min(gone))
            with disk_errors(f"record what is gone of {self.digest}", self._claim.log_path.parent):
                for index in gone:
                    self._log.append_forgotten(index)

    def discard(self) -> None:
        """Remove it from the disk; `fd` stays readable until `close`. Raises DiskError."""
        with self._commit_lock:
            if not self._committed and not self._closed:
                with disk_errors(f"remove the partial blob {self.digest}", self._claim.data_path.parent):
                    self._claim.unlink()

    def close(self) -> None:
        """Let go of it; what it has stays for a later resume. Waits for writes that are running."""
        with self._commit_lock, self._state:
            self._state.wait_for(lambda: not self._writing)
            if not self._closed:
                self._closed = True
                self._prefix.stop()
                os.close(self.fd)
                os.close(self._claim.log_fd)

    def __enter__(self) -> "PartialBlob":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _resume(self) -> None:
        """Raises OSError."""
        recorded = self._log.load(self.map)
        if os.fstat(self.fd).st_size != self.map.size:
            os.ftruncate(self.fd, self.map.size)
        for index, chunk_digest in sorted(recorded.items()):
            start, stop = self.map.span(index)
            if blake3(os.pread(self.fd, stop - start, start)).digest() == chunk_digest:
                self._chunk_digests[index] = chunk_digest
        self.have = ChunkSet.of(self._chunk_digests)

    def _begin_writing(self, index: int) -> bool:
        """Claim a chunk for writing; False where it is had. A second writer of it waits for the first."""
        with self._state:
            self._state.wait_for(lambda: index not in self._writing)
            if index in self.have:
                return False
            if self._closed or self._committed:
                raise DiskError(f"the partial blob {self.digest} is closed")
            self._writing.add(index)
            return True

    def _end_writing(self, index: int) -> None:
        with self._state:
            self._writing.discard(index)
            self._state.notify_all()

    def _compare(self, index: int, chunk_digest: bytes) -> bytes:
        had = self._chunk_digests.get(index)
        if had is not None and had != chunk_digest:
            raise ContentError(f"chunk {index} of {self.digest} is here already, with other bytes")
        return chunk_digest

    def _fsync(self) -> None:
        try:
            os.fsync(self.fd)
        except OSError as error:
            # The kernel drops what it could not write and says so once: these bytes may not be on the disk.
            self.forget(self.have)
            raise DiskError(
                f"cannot write {self.digest} to the disk: {error.strerror}; it will be fetched again"
            ) from error
