"""`Layout`: the directory as it stands: an OCI image layout and the store's own files beside it.

    oci-layout index.json          OCI image-spec 1.1, image-layout.md
    blobs/<algorithm>/<hex>        complete, verified content; appears by rename, so it is whole or not there
    partial/                       downloads on their way (partial_files.py)
    uploads/                       blobs that clients are pushing (uploads.py)
    staging/ owners/               small content on its way; one locked file a living process
    damaged                        what turned out damaged and is to be fetched again (damage.py)
    index.db                       what a layout cannot say (database.py)
    reserve                        room for the above on a full disk (reserve.py)
    layout.lock space.lock         critical sections between processes

Invariant: whatever appears under a final name was written elsewhere, fsynced, and renamed; then its directory is
fsynced. Methods raise OSError; the facade translates.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from agent.content.digest import Digest

ALGORITHMS = ("sha256", "sha512")
_OCI_LAYOUT = b'{"imageLayoutVersion": "1.0.0"}'


class Layout:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.partial = root / "partial"
        self.uploads = root / "uploads"
        self.staging = root / "staging"
        self.owners = root / "owners"
        self.database = root / "index.db"
        self.index_json = root / "index.json"
        self.reserve = root / "reserve"
        self.layout_lock = root / "layout.lock"
        self.space_lock = root / "space.lock"
        self._blobs = f"{root}/blobs"

    def create(self) -> None:
        """Make what is missing. Private images are in here: a root that we make is closed to other users."""
        is_new = not (self.root / "oci-layout").exists()
        if not self.root.is_dir():
            self.root.parent.mkdir(parents=True, exist_ok=True)
            self.root.mkdir(mode=0o750, exist_ok=True)
        for directory in (self.partial, self.uploads, self.staging, self.owners):
            directory.mkdir(exist_ok=True)
        for algorithm in ALGORITHMS:
            Path(self._blobs, algorithm).mkdir(parents=True, exist_ok=True)
        if is_new:
            for directory in (Path(self._blobs), self.root, self.root.parent):
                fsync_directory(directory)
            replace_file(self.root / "oci-layout", _OCI_LAYOUT, self.staging / f"oci-layout-{os.getpid()}")

    def blob_path(self, digest: Digest) -> str:
        return f"{self._blobs}/{digest.algorithm}/{digest.hex}"

    def scan_blobs(self) -> Iterator[tuple[str, os.stat_result]]:
        """Every file where blobs are, by what would be its digest: not parsed, since all of them are looked at whenever
        a store opens."""
        for algorithm in ALGORITHMS:
            with os.scandir(f"{self._blobs}/{algorithm}") as entries:
                for entry in entries:
                    try:
                        status = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue
                    if entry.is_file(follow_symlinks=False):
                        yield f"{algorithm}:{entry.name}", status

    def adopt(self, source: Path, digest: Digest) -> None:
        """Rename a file, whole and fsynced, to where its digest says."""
        target = Path(self.blob_path(digest))
        source.rename(target)
        fsync_directory(target.parent)

    def give_back(self, digest: Digest, source: Path) -> None:
        """Undo `adopt`."""
        Path(self.blob_path(digest)).rename(source)

    def remove(self, digest: Digest) -> None:
        Path(self.blob_path(digest)).unlink(missing_ok=True)


def write_file(path: Path, data: bytes) -> None:
    """Create, write and fsync; leaves nothing behind where that fails."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        pwrite_all(fd, data, 0)
        os.fsync(fd)
    except BaseException:
        path.unlink()
        raise
    finally:
        os.close(fd)


def replace_file(path: Path, data: bytes, staged: Path) -> None:
    """Put `data` under `path` atomically, by way of `staged` on the same file system."""
    write_file(staged, data)
    staged.rename(path)
    fsync_directory(path.parent)


def pwrite_all(fd: int, data: bytes | memoryview, offset: int) -> None:
    """pwrite(2) may be short: before a full disk, and past 2 GiB."""
    written = os.pwrite(fd, data, offset)
    rest = memoryview(data)
    while written < len(rest):
        written += os.pwrite(fd, rest[written:], offset + written)


def fsync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
