"""`LayerOutput`: a tar on its way into the store as a layer, in one pass and with fixed memory.

    tar -> blocks -+-> sha256: the diffID            (one thread)
                   `-> encode (every core) -> sha256: the blob's digest, and the file (one thread)

At most a few blocks are on their way at a time, however large the layer is.
"""

import hashlib
import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack

from agent.content.digest import Digest
from agent.content.document import Descriptor
from agent.store.staging import StagedBlob
from builder.layers.interruption import stop_if_cancelled
from builder.layers.recipes import Recipe, crc32
from builder.plan.layer import Layer


class LayerOutput:
    """Use it in a `with`. Not thread-safe. Methods raise DiskError."""

    def __init__(self, blob: StagedBlob, recipe: Recipe) -> None:
        cores = len(os.sched_getaffinity(0))
        self._blob, self._recipe = blob, recipe
        self._opened = ExitStack()
        self._hasher = self._opened.enter_context(ThreadPoolExecutor(1, "layer-hash"))
        self._encoders = self._opened.enter_context(ThreadPoolExecutor(cores, "layer-encode"))
        self._writer = self._opened.enter_context(ThreadPoolExecutor(1, "layer-write"))
        self._on_their_way: deque[Future[None]] = deque()
        self._limit = 2 * (cores + 4)
        self._plain = hashlib.sha256()
        self._crc = self._plain_bytes = 0
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._before = b""
        self._blob.write(recipe.head)

    def __enter__(self) -> "LayerOutput":
        return self

    def __exit__(self, *_: object) -> None:
        for future in self._on_their_way:
            future.cancel()
        self._opened.close()

    def write(self, data: bytes) -> None:
        """The next bytes of the tar."""
        self._pending.append(data)
        self._pending_bytes += len(data)
        if self._pending_bytes > self._recipe.block_bytes:
            self._cut()

    def finish(self) -> Layer:
        """The tar is complete: a blob of the store."""
        self._send(b"".join(self._pending), is_last=True)
        while self._on_their_way:
            self._on_their_way.popleft().result()
        self._blob.write(self._recipe.tail(self._crc, self._plain_bytes))
        size = self._blob.size
        return Layer(
            blob=Descriptor(self._recipe.media_type, self._blob.keep(), size),
            diff_id=Digest("sha256", self._plain.hexdigest()),
            plain_bytes=self._plain_bytes,
            recipe=str(self._recipe),
        )

    def _cut(self) -> None:
        """Full blocks; at least one byte stays, so that the last block is known as such."""
        stop_if_cancelled()
        data, size = b"".join(self._pending), self._recipe.block_bytes
        at = 0
        while len(data) - at > size:
            self._send(data[at : at + size], is_last=False)
            at += size
        self._pending = [data[at:]]
        self._pending_bytes = len(data) - at

    def _send(self, block: bytes, *, is_last: bool) -> None:
        while len(self._on_their_way) >= self._limit:
            self._on_their_way.popleft().result()
        encoded = self._encoders.submit(self._recipe.encode, block, self._before, is_last=is_last)
        self._before = block
        self._on_their_way.append(self._hasher.submit(self._hash, block))
        self._on_their_way.append(self._writer.submit(self._write_encoded, encoded))

    def _hash(self, block: bytes) -> None:
        self._plain.update(block)
        self._crc = crc32(block, self._crc)
        self._plain_bytes += len(block)

    def _write_encoded(self, encoded: Future[bytes]) -> None:
        self._blob.write(encoded.result())
