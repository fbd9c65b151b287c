"""`DiskTree`: a directory of this machine as members of a tar, listed once and read when they are written.

Nothing is followed: every name is looked at through its directory's descriptor (openat, O_NOFOLLOW), so that a symlink
that somebody puts there meanwhile leads nowhere. Sockets are left out; other file systems that are mounted inside are
part of it. A file that changes its size between the two looks is told, and not written halfway.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.content.errors import ContentError, InputError
from agent.images.stored_blob import reader_of
from agent.images.tar_entry import END_OF_TAR, XATTR_PREFIX, Kind, TarEntry
from agent.images.tar_reader import PIECE_BYTES, Read
from agent.store.disk_errors import disk_errors

_KINDS = {
    stat.S_IFREG: Kind.FILE,
    stat.S_IFLNK: Kind.SYMLINK,
    stat.S_IFCHR: Kind.CHARACTER_DEVICE,
    stat.S_IFBLK: Kind.BLOCK_DEVICE,
    stat.S_IFDIR: Kind.DIRECTORY,
    stat.S_IFIFO: Kind.FIFO,
}
_HIDDEN_XATTRS = ("trusted.overlay.", "user.overlay.", "system.posix_acl", "security.selinux")
_SECOND_NS = 1_000_000_000


class DiskTree:
    def __init__(self, directory: Path) -> None:
        """Raises InputError for what is no directory, DiskError."""
        self._directory = directory
        if not directory.is_dir():
            raise InputError(f"{directory} is no directory")
        self._links: dict[tuple[int, int], str] = {}
        self.entries: list[TarEntry] = []
        with disk_errors("read", directory), _opened_directory(directory) as root:
            self._list(root, "")

    def open_tar(self) -> Read:
        """All of it as a tar, in the order of `entries`."""
        return reader_of(self._pieces())

    def _pieces(self) -> Iterator[bytes]:
        for entry in self.entries:
            yield entry.encode()
            if entry.size:
                yield from self._data(entry)
                yield bytes(entry.padding_bytes)
        yield END_OF_TAR

    def _data(self, entry: TarEntry) -> Iterator[bytes]:
        left = entry.size
        with disk_errors(f"read {entry.name}", self._directory), self._opened_file(entry.name) as fd:
            while piece := os.read(fd, PIECE_BYTES):
                left -= len(piece)
                if left < 0:
                    break
                yield piece
        if left:
            raise ContentError(f"{entry.name[:200]!r} changed while it was read")

    def _list(self, directory: int, path: str) -> None:
        for name in sorted(os.listdir(directory)):
            inner = f"{path}/{name}" if path else name
            status = os.stat(name, dir_fd=directory, follow_symlinks=False)
            entry = self._entry(directory, name, inner, status)
            if entry is None:
                continue
            self.entries.append(entry)
            if entry.kind is Kind.DIRECTORY:
                fd = os.open(
                    name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory
                )
                try:
                    self._list(fd, inner)
                finally:
                    os.close(fd)

    def _entry(self, directory: int, name: str, path: str, status: os.stat_result) -> TarEntry | None:
        kind = _KINDS.get(stat.S_IFMT(status.st_mode))
        if kind is None:
            return None
        link_name, size = "", status.st_size if kind is Kind.FILE else 0
        if kind is Kind.SYMLINK:
            link_name = os.readlink(name, dir_fd=directory)
        elif kind is not Kind.DIRECTORY and status.st_nlink > 1:
            first = self._links.setdefault((status.st_dev, status.st_ino), path)
            if first != path:
                kind, link_name, size = Kind.HARD_LINK, first, 0
        is_device = kind in (Kind.CHARACTER_DEVICE, Kind.BLOCK_DEVICE)
        return TarEntry(
            name=f"{path}/" if kind is Kind.DIRECTORY else path,
            kind=kind,
            size=size,
            mode=stat.S_IMODE(status.st_mode),
            uid=status.st_uid,
            gid=status.st_gid,
            mtime_ns=status.st_mtime_ns // _SECOND_NS * _SECOND_NS,
            link_name=link_name,
            device=(os.major(status.st_rdev), os.minor(status.st_rdev)) if is_device else (0, 0),
            pax=_xattrs(f"/proc/self/fd/{directory}/{name}"),
        )

    @contextmanager
    def _opened_file(self, path: str) -> Iterator[int]:
        *folders, name = path.split("/")
        with _opened_directory(self._directory) as root:
            directory = root
            for folder in folders:
                inner = os.open(
                    folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory
                )
                if directory != root:
                    os.close(directory)
                directory = inner
            try:
                fd = os.open(
                    name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory
                )
            finally:
                if directory != root:
                    os.close(directory)
            try:
                yield fd
            finally:
                os.close(fd)


@contextmanager
def _opened_directory(directory: Path) -> Iterator[int]:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def _xattrs(path: str) -> dict[str, bytes]:
    """What a file system without them says is no failure."""
    try:
        names = os.listxattr(path, follow_symlinks=False)
        return {
            XATTR_PREFIX + name: os.getxattr(path, name, follow_symlinks=False)
            for name in sorted(names)
            if not name.startswith(_HIDDEN_XATTRS)
        }
    except OSError:
        return {}
