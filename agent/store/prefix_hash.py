"""`PrefixHash`: the whole-blob hash, taken along the contiguous prefix as it grows, so that committing costs little.

Invariant: the hasher has seen exactly the chunks before `next_index`, each as it stands in the file. One thread hashes
at a time; a writer that finds it busy leaves its chunk to `catch_up`. Memory stays flat: one block buffer.
"""

import os
import threading
from collections.abc import Callable

from agent.content.chunk_map import ChunkMap
from agent.content.chunk_set import ChunkSet
from agent.content.digest import Digest

_BLOCK_BYTES = 1 << 20


class PrefixHash:
    def __init__(self, digest: Digest, chunk_map: ChunkMap) -> None:
        self._digest = digest
        self._map = chunk_map
        self._hasher = digest.new_hasher()
        self._lock = threading.Lock()
        self._stopped = False
        self.next_index = 0

    def extend_nowait(self, index: int, data: bytes | memoryview) -> None:
        """Hash a chunk that was just written, if it is the next one and nobody else is hashing."""
        if index != self.next_index or not self._lock.acquire(blocking=False):
            return
        try:
            if index == self.next_index:
                self._hasher.update(data)
                self.next_index += 1
        finally:
            self._lock.release()

    def catch_up(self, fd: int, have: Callable[[], ChunkSet], limit_bytes: int) -> bool:
        """Hash what is there and follows, from the file, until `limit_bytes`. True while more could be hashed.

        At least one chunk is hashed where one is there. Raises OSError.
        """
        hashed = 0
        with self._lock:
            while not self._stopped and self.next_index in have():
                if hashed and hashed + self._map.length(self.next_index) > limit_bytes:
                    return True
                hashed += self._hash_chunk(fd)
        return False

    def rewind_before(self, index: int) -> None:
        """Chunk `index` is no longer what was hashed: begin anew if it was."""
        with self._lock:
            if index < self.next_index:
                self._begin()

    def stop(self) -> None:
        """Wait for whoever is hashing; afterwards the file is not touched again."""
        with self._lock:
            self._stopped = True

    def matches(self) -> bool:
        with self._lock:
            return self.next_index == self._map.count and self._digest.matches(self._hasher)

    def _hash_chunk(self, fd: int) -> int:
        offset, stop = start, _ = self._map.span(self.next_index)
        try:
            while offset < stop and (block := os.pread(fd, min(_BLOCK_BYTES, stop - offset), offset)):
                self._hasher.update(block)
                offset += len(block)
        except OSError:
            self._begin()  # the hasher may have seen a part of this chunk
            raise
        # A file that someone cut short hashes to something else: the commit will say so.
        self.next_index += 1
        return stop - start

    def _begin(self) -> None:
        self._hasher = self._digest.new_hasher()
        self.next_index = 0
