"""`Staging`: content of this machine's own on its way into the store: what is loaded, imported, committed.

Nobody knows its digest beforehand, so it is written under a staged name and hashed as it comes; `keep` makes it a blob.
Invariant: what was staged and not kept is gone when its `Staging` is closed, and, should the process be killed, when
the store is opened next. Room is asked for as the content grows, since nobody knows its size either.
"""

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from agent.content.digest import Digest
from agent.content.errors import DiskError
from agent.store.disk_errors import disk_errors
from agent.store.layout import pwrite_all

ADMIT_BYTES = 64 * 1024 * 1024
PIECE_BYTES = 1024 * 1024


class StagedBlob:
    """Made by Staging.new. Not thread-safe."""

    def __init__(
        self, path: Path, grow: Callable[[int], None], adopt: Callable[[Path, Digest, int], None]
    ) -> None:
        """Raises OSError."""
        self.size = 0
        self._path = path
        self._grow = grow
        self._adopt = adopt
        self._hasher = hashlib.sha256()
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)

    @property
    def digest(self) -> Digest:
        """Of what was written so far."""
        return Digest("sha256", self._hasher.hexdigest())

    def write(self, data: bytes) -> None:
        """Append. Raises DiskError."""
        with disk_errors(f"stage {len(data)} bytes", self._path.parent):
            self._grow(len(data))
            pwrite_all(self._fd, data, self.size)
        self._hasher.update(data)
        self.size += len(data)

    def seal(self) -> None:
        """Nothing more will be written: an archive may have more files than a process may have open."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def reader(self) -> Callable[[int], bytes]:
        """From its beginning; each reader has a place of its own. Reading raises DiskError."""
        at = 0

        def read(limit_bytes: int) -> bytes:
            nonlocal at
            with disk_errors("read staged content", self._path.parent), open(self._path, "rb") as file:
                piece = os.pread(file.fileno(), limit_bytes, at)
            at += len(piece)
            return piece

        return read

    def pieces(self) -> Iterator[bytes]:
        """All of it. Raises DiskError."""
        read = self.reader()
        while piece := read(PIECE_BYTES):
            yield piece

    def keep(self) -> Digest:
        """Make it a blob; its file is the store's from then on. Raises DiskError."""
        digest = self.digest
        self.seal()
        with disk_errors(f"write {self.size} bytes of {digest}", self._path.parent):
            if self._path.exists():  # else it was kept before
                with open(self._path, "rb") as file:
                    os.fsync(file.fileno())
                self._adopt(self._path, digest, self.size)
        return digest

    def close(self) -> None:
        """Gone, unless it was kept."""
        self.seal()
        self._path.unlink(missing_ok=True)


class Staging:
    """Made by Store.staging; use it in a `with`."""

    def __init__(
        self,
        new_path: Callable[[str], str],
        admit: Callable[[int], None],
        adopt: Callable[[Path, Digest, int], None],
    ) -> None:
        self._new_path = new_path
        self._admit = admit
        self._adopt = adopt
        self._blobs: list[StagedBlob] = []
        self._staged_bytes = self._admitted_bytes = 0

    def new(self) -> StagedBlob:
        """Closed with the others. Raises DiskError."""
        path = Path(self._new_path("staged"))
        with disk_errors("stage content", path.parent):
            blob = StagedBlob(path, self._grow, self._adopt)
        self._blobs.append(blob)
        return blob

    def drop(self, blob: StagedBlob) -> None:
        """Close one that turned out not to be needed."""
        self._blobs.remove(blob)
        blob.close()

    def close(self) -> None:
        for blob in self._blobs:
            blob.close()
        self._blobs.clear()

    def __enter__(self) -> "Staging":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _grow(self, count: int) -> None:
        """What was staged is not counted as stored yet: all of it is asked for together. Raises DiskError."""
        self._staged_bytes += count
        if self._staged_bytes > self._admitted_bytes:
            self._admitted_bytes = self._staged_bytes + ADMIT_BYTES
            try:
                self._admit(self._admitted_bytes)
            except DiskError:
                self._admitted_bytes = self._staged_bytes
                self._admit(self._admitted_bytes)
