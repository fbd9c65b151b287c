"""`Uploads`: blobs that clients are pushing: each a file that grows, bound to a repository, under an id nobody guesses.

    uploads/<id>.json    the repository it is for
    uploads/<id>.data    what has come so far

Invariants: nothing leaves here for blobs/ before the whole digest matched and the file was fsynced. An upload outlives
the process (its bytes are hashed anew then), but not `expiry_seconds` without a byte; where there are too many, the one
that has been idle for longest makes room. What it takes counts against the store's limits, and is admitted in steps
before it is written. Which digest it will be, and by which algorithm, is only known at the end: SHA-256 is taken along,
any other algorithm costs another reading.
One caller at a time works on one upload; that is the caller's to see to. Methods raise DiskError.
"""

import json
import os
import re
import secrets
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from blake3 import blake3

from agent.content.chunk_map import ChunkMap
from agent.content.digest import Digest, Hasher
from agent.content.errors import ContentError, DiskError, InputError
from agent.content.reference import Repository
from agent.store.disk_errors import disk_errors
from agent.store.layout import pwrite_all

MAX_UPLOADS = 1000
_IDLE_SECONDS = (
    10.0  # clients that were cut off begin anew: what they left would keep all others from pushing
)
_SWEEP_SECONDS = 60.0
_ID = re.compile(r"[0-9a-f]{32}")
_BLOCK_BYTES = 1 << 20
_MOST_AHEAD_BYTES = 32 * 1024 * 1024  # asking for room reads directories: not for every block
_MAX_STATE_BYTES = 4096

Take = Callable[[Path, Digest, int, bytes], None]
"""Make a verified, fsynced file a blob: (file, digest, size, all chunk digests)."""


@dataclass(slots=True)
class Upload:
    """`size`: bytes that have come so far; the next one goes there."""

    id: str
    repository: Repository
    path: Path
    size: int = 0
    admitted: int = 0
    hasher: Hasher = field(default_factory=lambda: Digest.of(b"").new_hasher())
    hashed: int = 0


class Uploads:
    def __init__(
        self,
        directory: Path,
        admit: Callable[[int], None],
        take: Take,
        expiry_seconds: float,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._directory = directory
        self._admit = admit
        self._take = take
        self._expiry_seconds = expiry_seconds
        self._now = now
        self._open: dict[str, Upload] = {}
        self._sweep_at = 0.0

    def begin(self, repository: Repository, busy: Collection[str] = ()) -> Upload | None:
        """None where there are too many already, all of them `busy` or used a moment ago."""
        with disk_errors("begin an upload", self._directory):
            if self._now() >= self._sweep_at:
                self.sweep()
            if not self._make_room(busy):
                return None
            upload = Upload(secrets.token_hex(16), repository, self._directory)
            upload.path = self._data(upload.id)
            upload.path.touch(mode=0o640, exist_ok=False)
            state = json.dumps({"registry": repository.registry, "name": repository.name})
            self._state(upload.id).write_text(state)
        self._open[upload.id] = upload
        return upload

    def _make_room(self, busy: Collection[str]) -> bool:
        ids = set(self._ids())
        if len(ids) < MAX_UPLOADS:
            return True
        touched, idlest = min(((self._touched(one), one) for one in ids.difference(busy)), default=(0.0, ""))
        if not idlest or touched > self._now() - _IDLE_SECONDS:
            return False
        self._open.pop(idlest, None)
        self._remove(idlest)
        return True

    def _touched(self, upload_id: str) -> float:
        return _mtime(self._data(upload_id)) or _mtime(self._state(upload_id))

    def find(self, upload_id: str, repository: Repository) -> Upload | None:
        """The upload of this id, where it is this repository's."""
        if not _ID.fullmatch(upload_id):
            return None
        upload = self._open.get(upload_id) or self._reopen(upload_id)
        if upload is None or upload.repository != repository or not upload.path.exists():
            return None
        return upload

    def append(self, upload: Upload, data: bytes | bytearray | memoryview) -> None:
        with disk_errors(f"write {len(data)} bytes of an upload", self._directory):
            self._admit_for(upload, upload.size + len(data))
            fd = os.open(upload.path, os.O_WRONLY | os.O_CLOEXEC)
            try:
                pwrite_all(fd, memoryview(data), upload.size)
            finally:
                os.close(fd)
            if upload.hashed == upload.size:
                upload.hasher.update(data)
                upload.hashed += len(data)
            upload.size += len(data)

    def _admit_for(self, upload: Upload, size: int) -> None:
        """Room for the upload to grow to `size`; the larger it is, the more at once, where there is so much."""
        missing = size - upload.admitted
        if missing <= 0:
            return
        ahead = min(upload.size, _MOST_AHEAD_BYTES)
        try:
            self._admit(missing + ahead)
        except DiskError:
            ahead = 0
            self._admit(missing)
        upload.admitted += missing + ahead

    def cut(self, upload: Upload, size: int) -> None:
        """Take back what came after `size`."""
        with disk_errors("shorten an upload", self._directory):
            os.truncate(upload.path, size)
        if upload.hashed > size:
            upload.hasher, upload.hashed = Digest.of(b"").new_hasher(), 0
        upload.size = size

    def finish(self, upload: Upload, digest: Digest) -> int:
        """Make it a blob; its size. Raises ContentError where it is not what `digest` names: then it is gone."""
        with disk_errors(f"store {upload.size} bytes of {digest}", self._directory):
            fd = os.open(upload.path, os.O_RDWR | os.O_CLOEXEC)
            try:
                os.ftruncate(fd, upload.size)  # what a full disk left half written
                if not digest.matches(self._hasher(upload, digest, fd)):
                    self.discard(upload)
                    raise ContentError(f"the {upload.size} bytes that were uploaded do not match {digest}")
                chunks = _chunk_digests(fd, upload.size)
                os.fsync(fd)
            finally:
                os.close(fd)
            self._take(upload.path, digest, upload.size, chunks)
            self.discard(upload)
        return upload.size

    def discard(self, upload: Upload) -> None:
        self._open.pop(upload.id, None)
        with disk_errors("remove an upload", self._directory):
            self._remove(upload.id)

    def sweep(self) -> None:
        """Remove what has not grown for so long, and what a killed process left half made."""
        oldest = self._now() - self._expiry_seconds
        self._sweep_at = self._now() + _SWEEP_SECONDS
        with disk_errors("clear up uploads", self._directory):
            for upload_id in list(self._ids()):
                if self._touched(upload_id) < oldest:
                    self._open.pop(upload_id, None)
                    self._remove(upload_id)

    def _reopen(self, upload_id: str) -> Upload | None:
        """One of an earlier process."""
        try:
            with open(self._state(upload_id)) as file:
                state = json.loads(file.read(_MAX_STATE_BYTES))
            repository = Repository.of(state["registry"], state["name"])
            path = self._data(upload_id)
            size = path.stat().st_size
        except (OSError, ValueError, KeyError, TypeError, InputError):
            return None
        upload = Upload(upload_id, repository, path, size, admitted=size)
        self._open[upload_id] = upload
        return upload

    def _hasher(self, upload: Upload, digest: Digest, fd: int) -> Hasher:
        if digest.algorithm == "sha256" and upload.hashed == upload.size:
            return upload.hasher
        hasher = digest.new_hasher()
        for offset in range(0, upload.size, _BLOCK_BYTES):
            hasher.update(os.pread(fd, min(_BLOCK_BYTES, upload.size - offset), offset))
        return hasher

    def _ids(self) -> Iterator[str]:
        stems = {name.partition(".")[0] for name in os.listdir(self._directory)}
        return (stem for stem in stems if _ID.fullmatch(stem))

    def _remove(self, upload_id: str) -> None:
        self._data(upload_id).unlink(missing_ok=True)
        self._state(upload_id).unlink(missing_ok=True)

    def _data(self, upload_id: str) -> Path:
        return self._directory / f"{upload_id}.data"

    def _state(self, upload_id: str) -> Path:
        return self._directory / f"{upload_id}.json"


def stored_bytes(directory: Path) -> int:
    """What all uploads take. Raises OSError."""
    total = 0
    with os.scandir(directory) as entries:
        for entry in entries:
            try:
                total += entry.stat(follow_symlinks=False).st_size
            except FileNotFoundError:
                pass  # finished meanwhile
    return total


def _chunk_digests(fd: int, size: int) -> bytes:
    """BLAKE3-256 of each chunk: peers may ask for the blob at once."""
    chunks = ChunkMap.of(size)
    spans = (chunks.span(index) for index in range(chunks.count))
    return b"".join(blake3(os.pread(fd, stop - start, start)).digest() for start, stop in spans)


def _mtime(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
