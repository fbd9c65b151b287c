"""`SnapshotDirectory`: which snapshots are on the disk, and what nobody alive needs of them.

    s/<name>/f           the files of one layer, as overlay takes them; f's siblings: bytes (size), boot (see below)
    s/empty s/bottom     the lowest of every mount
    chains/<chain ID>    -> ../s/<name>; its time is that of the last use. It appears last: what has no link is not used
    work/<token>/        trees, and layers on their way, of one process; work/<token>.alive is locked while it lives
    lock                 shared: taking into use, publishing; exclusive: removing

A snapshot may be removed unless some tree's `uses` names its chain. Snapshots are not synced when they are made, since
the store's blobs can make them again: `boot` says in which run of the machine one was made, until `settle` has synced;
after a crash of the machine the unsynced ones are dropped.
"""

import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from agent.content.digest import Digest
from agent.store.file_lock import try_lock
from builder.layers.directories import remove_tree
from builder.layers.overlay import sync_file_system, unmount

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
EMPTY = ("empty", "bottom")  # a read-only mount needs two layers, whatever the image has
_WRITEBACK_SECONDS = 60.0  # by then Linux has written most of it on its own


@dataclass(frozen=True, slots=True)
class SnapshotRecord:
    chain: str
    name: str
    size_bytes: int
    used_at: float


def is_in_use(root: Path) -> bool:
    """Does somebody work there, or was killed while he did? Raises OSError."""
    work = root / "work"
    return work.exists() and any(work.iterdir())


class SnapshotDirectory:
    """Methods raise OSError. Thread-safe."""

    def __init__(self, root: Path) -> None:
        self.snapshots = root / "s"
        self._chains = root / "chains"
        self._all_work = root / "work"
        self._lock = root / "lock"
        self._boot = root / "boot"
        for directory in (*(self.snapshots / one for one in EMPTY), self._chains, self._all_work):
            directory.mkdir(parents=True, exist_ok=True)
        root.chmod(0o700)  # files of images, setuid ones too, are nobody else's to run
        self._boot_id = _BOOT_ID.read_text().strip()
        self._drop_unsynced()
        self._alive: int | None = None
        while self._alive is None:
            self.token = secrets.token_hex(6)
            self._alive = try_lock(self._all_work / f"{self.token}.alive", create=True)
        self.work = self._all_work / self.token
        self.work.mkdir()

    def close(self) -> None:
        if self._alive is not None:
            self._remove_work(self.token)
            os.close(self._alive)
            self._alive = None

    # --- taking into use, publishing ----------------------------------------------------------------------------

    @contextmanager
    def locked(self, *, exclusive: bool = False) -> Iterator[None]:
        fd = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
            yield
        finally:
            os.close(fd)

    def use(self, directory: Path, chains: list[Digest]) -> None:
        """As long as `directory`, one of `work`, exists, these snapshots stay, those that are still to come too."""
        with self.locked():
            (directory / "uses").write_text("\n".join(chain.hex for chain in chains))

    def name_of(self, chain: Digest) -> str | None:
        """Counts as a use."""
        link = self._chains / chain.hex
        try:
            name = link.readlink().name
            os.utime(link, follow_symlinks=False)
        except FileNotFoundError:
            return None
        return name

    def publish(self, files: Path, chain: Digest, size_bytes: int) -> str:
        """Move `files` in; where the chain has a snapshot already, that one stays. Its name."""
        with self.locked():
            known = self.name_of(chain)
            if known is not None:
                return known
            name = self._new_name()
            home = self.snapshots / name
            (home / "bytes").write_text(str(size_bytes))
            (home / "boot").write_text(self._boot_id)
            files.rename(home / "f")
            try:
                (self._chains / chain.hex).symlink_to(f"../s/{name}")
            except (
                FileExistsError
            ):  # another process was faster; ours has no link and goes with the next clean_up
                return self.name_of(chain) or name
            return name

    def _new_name(self) -> str:
        while True:
            name = secrets.token_hex(2)
            with suppress(FileExistsError):
                (self.snapshots / name).mkdir()
                return name

    @contextmanager
    def alone(self, chain: Digest) -> Iterator[None]:
        """Others who want to make the same snapshot wait, so that it is not made twice. Nothing depends on it."""
        path = self._all_work / f"{chain.hex}.making"
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            path.unlink(missing_ok=True)
            os.close(fd)

    # --- removing -----------------------------------------------------------------------------------------------

    def records(self) -> list[SnapshotRecord]:
        """Least recently used first."""
        found = []
        for link in self._chains.iterdir():
            with suppress(FileNotFoundError):
                name = link.readlink().name
                size = int((self.snapshots / name / "bytes").read_text() or 0)
                found.append(SnapshotRecord(link.name, name, size, link.lstat().st_mtime))
        return sorted(found, key=lambda record: record.used_at)

    def remove(self, candidates: list[SnapshotRecord]) -> list[SnapshotRecord]:
        """Those of them that nobody uses; which ones went."""
        with self.locked(exclusive=True):
            used = self._used()
            gone = [record for record in candidates if record.chain not in used]
            for record in gone:
                (self._chains / record.chain).unlink(missing_ok=True)
        self.remove_loose()
        return gone

    def remove_loose(self) -> None:
        """Snapshots without a link: their makers were killed, or they were pruned."""
        with self.locked(exclusive=True):
            linked = {link.readlink().name for link in self._chains.iterdir()}
            loose = [one for one in self.snapshots.iterdir() if one.name not in (*linked, *EMPTY)]
            for directory in loose:
                directory.rename(self.work / f"loose-{directory.name}-{secrets.token_hex(4)}")
        for directory in self.work.glob("loose-*"):
            with suppress(FileNotFoundError):  # another thread's
                remove_directory(directory)

    def remove_dead(self) -> None:
        """What killed processes left: mounts and work."""
        for alive in self._all_work.glob("*.alive"):
            fd = try_lock(alive, create=False)
            if fd is not None:
                try:
                    self._remove_work(alive.name.removesuffix(".alive"))
                finally:
                    os.close(fd)

    def settle(self) -> None:
        """Sync what was made a while ago, and costs little by now, so that it outlives a crash of the machine."""
        latest = time.time() - _WRITEBACK_SECONDS
        unsynced = [boot for boot in self.snapshots.glob("*/boot") if boot.lstat().st_mtime < latest]
        if unsynced:
            sync_file_system(self.snapshots)
            for boot in unsynced:
                boot.unlink(missing_ok=True)

    def _remove_work(self, token: str) -> None:
        work = self._all_work / token
        for tree in work.glob("*/tree"):
            unmount(tree)
        if work.exists():
            remove_directory(work)
        (self._all_work / f"{token}.alive").unlink(missing_ok=True)

    def _used(self) -> set[str]:
        used: set[str] = set()
        for uses in self._all_work.glob("*/*/uses"):
            with suppress(FileNotFoundError):
                used.update(uses.read_text().split())
        return used

    def _drop_unsynced(self) -> None:
        with self.locked(exclusive=True):
            if self._boot.exists() and self._boot.read_text() == self._boot_id:
                return
            for link in self._chains.iterdir():
                if (self.snapshots / link.readlink().name / "boot").exists():
                    link.unlink()
            self._boot.write_text(self._boot_id)


def remove_directory(directory: Path) -> None:
    """And all in it. Raises OSError."""
    parent = os.open(directory.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        remove_tree(parent, directory.name)
    finally:
        os.close(parent)
