"""`PartialFiles`: the directory of downloads on their way, and who owns each.

A partial is two files of one stem, `<algorithm>-<hex>-<random>`: `.data` (sparse) and `.log` (chunk_log.py). Its owner
holds the log by flock, so a partial whose process died is free to be resumed by anyone. A second process that
wants the same blob at the same time gets a partial of its own; the first one committed wins, the other is the same.
Methods raise OSError. `claim`, `scan` and `sweep` belong under the store's space lock; `claim` alone creates.
"""

import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.content.digest import Digest
from agent.content.errors import InputError
from agent.store.file_lock import try_lock

_SECTOR_BYTES = 512  # the unit of st_blocks, whatever the file system's own


@dataclass(frozen=True, slots=True)
class PartialFile:
    """One partial as it stands. `owned`: somebody, here or elsewhere, is filling it."""

    stem: str
    digest: Digest
    size: int
    allocated_bytes: int
    used_at: float
    owned: bool


@dataclass(frozen=True, slots=True)
class Claim:
    """Ownership of a partial, until `log_fd` is closed."""

    stem: str
    log_fd: int
    data_path: Path
    log_path: Path

    def allocated_bytes(self) -> int:
        """Disk the data takes already."""
        try:
            return _allocated(self.data_path.stat())
        except FileNotFoundError:
            return 0

    def reserve(self, size: int) -> None:
        """Make the data file, sparse, of the size it will have: that is what others see as promised."""
        fd = os.open(self.data_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            if os.fstat(fd).st_size != size:
                os.ftruncate(fd, size)
        finally:
            os.close(fd)

    def release(self) -> None:
        os.close(self.log_fd)

    def unlink(self) -> None:
        """Remove both files, as far as they are there. Data first: a log alone is nothing."""
        self.data_path.unlink(missing_ok=True)
        self.log_path.unlink(missing_ok=True)


class PartialFiles:
    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def claim(self, digest: Digest) -> Claim:
        """The partial of this blob that has the most and is free, else a new and empty one."""
        stems = sorted(self._stems(digest), key=self._log_size, reverse=True)
        for stem in stems:
            if claim := self._try_claim(stem, create=False):
                return claim
        while True:
            if claim := self._try_claim(f"{_prefix(digest)}{secrets.token_hex(4)}", create=True):
                return claim

    def size_of(self, digest: Digest) -> int | None:
        """Of the blob that the fullest partial is made for."""
        stems = sorted(self._stems(digest), key=self._log_size, reverse=True)
        for stem in stems:
            try:
                return self._data(stem).stat().st_size or None
            except FileNotFoundError:
                continue
        return None

    def scan(self, *, as_owned: bool = False) -> list[PartialFile]:
        """What is there, owned or not. as_owned: take all of it for owned, which costs no lock for each."""
        found = []
        for digest, stem in self._all():
            try:
                data, log = self._data(stem).stat(), self._log(stem).stat()
            except FileNotFoundError:
                continue
            used_at = max(data.st_mtime, log.st_mtime)
            found.append(
                PartialFile(
                    stem, digest, data.st_size, _allocated(data), used_at, as_owned or self._is_owned(stem)
                )
            )
        return found

    def remove(self, stem: str) -> bool:
        """Remove a partial unless somebody owns it."""
        claim = self._try_claim(stem, create=False)
        if claim is None:
            return False
        claim.unlink()
        claim.release()
        return True

    def sweep(self, is_useless: Callable[[PartialFile], bool]) -> None:
        """Remove what a killed process left half made, and what `is_useless` says of the free ones."""
        whole = {partial.stem: partial for partial in self.scan()}
        for _, stem in self._all():
            partial = whole.get(stem)
            if partial is None or (not partial.owned and is_useless(partial)):
                self.remove(stem)
        for data in self._directory.glob("*.data"):
            if not data.with_suffix(".log").exists():
                data.unlink(missing_ok=True)

    def _all(self) -> Iterator[tuple[Digest, str]]:
        for name in os.listdir(self._directory):
            stem, dot, kind = name.rpartition(".")
            algorithm, _, rest = stem.partition("-")
            if not dot or kind != "log":
                continue
            try:
                yield Digest.parse(f"{algorithm}:{rest.partition('-')[0]}"), stem
            except InputError:
                continue

    def _stems(self, digest: Digest) -> list[str]:
        prefix = _prefix(digest)
        names = [name for name in os.listdir(self._directory) if name.startswith(prefix)]
        return [name.removesuffix(".log") for name in names if name.endswith(".log")]

    def _try_claim(self, stem: str, *, create: bool) -> Claim | None:
        fd = try_lock(self._log(stem), create=create)
        return None if fd is None else Claim(stem, fd, self._data(stem), self._log(stem))

    def _is_owned(self, stem: str) -> bool:
        fd = try_lock(self._log(stem), create=False)
        if fd is not None:
            os.close(fd)
        return fd is None

    def _log_size(self, stem: str) -> int:
        try:
            return self._log(stem).stat().st_size
        except FileNotFoundError:
            return 0

    def _data(self, stem: str) -> Path:
        return self._directory / f"{stem}.data"

    def _log(self, stem: str) -> Path:
        return self._directory / f"{stem}.log"


def _prefix(digest: Digest) -> str:
    return f"{digest.algorithm}-{digest.hex}-"


def _allocated(status: os.stat_result) -> int:
    return min(status.st_blocks * _SECTOR_BYTES, status.st_size)
