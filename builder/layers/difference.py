"""`write_difference`: what an overlay's upper directory changed, as an OCI layer's tar.

Compared with the mounted layers below, since the upper directory says more than what changed: a whiteout counts where
its name exists below; a directory that was only copied up, and a file that is what it was (`mv a b && mv b a`), do not.
What counts brings the directories that it lies in, as containerd's and Docker's layers do: an unpacker that knows no
layer below makes them right. Opaque directories become whiteouts of what is below, which every reader understands.
Order: by name's bytes within a directory, whiteouts first. Times in whole seconds, none later than `epoch`. Sockets are
left out. OCI image-spec 1.1, layer.md.
"""

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from agent.content.errors import ContentError
from agent.images.tar_entry import XATTR_PREFIX, Kind, TarEntry
from agent.images.tar_reader import PIECE_BYTES
from agent.images.tar_writer import TarWriter, Write
from builder.layers.attributes import entry_path, is_opaque, is_whiteout, read_xattrs
from builder.layers.directories import open_directory

_SECOND_NS = 1_000_000_000
_KINDS = {
    stat.S_IFREG: Kind.FILE,
    stat.S_IFLNK: Kind.SYMLINK,
    stat.S_IFCHR: Kind.CHARACTER_DEVICE,
    stat.S_IFBLK: Kind.BLOCK_DEVICE,
    stat.S_IFDIR: Kind.DIRECTORY,
    stat.S_IFIFO: Kind.FIFO,
}
_MAX_DEPTH = 400  # a descriptor each, twice


def write_difference(upper: Path, lower: Path, epoch: int | None, write: Write) -> int:
    """How many members were written; the tar's end is written, too. lower: the layers below, mounted.

    Raises ContentError for what no layer can hold, OSError, and what `write` raises.
    """
    difference = _Difference(epoch, write)
    difference.run(upper, lower)
    return difference.count


@dataclass(slots=True)
class _Level:
    """A directory on the way down. entry: of it, until it is written. below: None where no directory is below."""

    path: str
    fd: int
    below: int | None
    hides: bool
    entry: TarEntry | None
    names: Iterator[str] = field(default_factory=lambda: iter(()))

    def close(self) -> None:
        os.close(self.fd)
        if self.below is not None:
            os.close(self.below)

    def find_below(self, name: str) -> os.stat_result | None:
        if self.below is None:
            return None
        try:
            return os.stat(name, dir_fd=self.below, follow_symlinks=False)
        except FileNotFoundError:
            return None


class _Difference:
    def __init__(self, epoch: int | None, write: Write) -> None:
        self.count = 0
        self._epoch = epoch
        self._tar = TarWriter(write)
        self._levels: list[_Level] = []
        self._first_names: dict[int, str] = {}
        self._unchanged_names: dict[int, list[tuple[TarEntry, list[_Level]]]] = {}

    def run(self, upper: Path, lower: Path) -> None:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        fd, below = os.open(upper, flags), os.open(lower, flags)
        root = _Level("", fd, below, hides=False, entry=None)
        self._levels.append(root)
        try:
            if not _same_attributes(fd, os.fstat(fd), below, os.fstat(below)):
                self._add(self._entry("./", os.fstat(fd), read_xattrs(fd)))
            self._list(root)
            while self._levels:
                name = next(self._levels[-1].names, None)
                if name is None:
                    self._levels.pop().close()
                else:
                    self._visit(self._levels[-1], name)
        finally:
            while self._levels:
                self._levels.pop().close()
        self._tar.end()

    def _list(self, level: _Level) -> None:
        """Whiteouts at once, the rest one by one."""
        names = set(os.listdir(level.fd))
        gone = {name for name in names if is_whiteout(_status(level.fd, name))}
        hidden = set(gone)
        if level.below is not None and level.hides:
            hidden |= set(os.listdir(level.below)) - names
        for name in sorted(hidden, key=os.fsencode):
            if level.find_below(name) is not None:
                self._add(TarEntry(f"{level.path}.wh.{name}", mtime_ns=self._time_ns(os.fstat(level.fd))))
        level.names = iter(sorted(names - gone, key=os.fsencode))

    def _visit(self, level: _Level, name: str) -> None:
        status, path = _status(level.fd, name), f"{level.path}{name}"
        was = level.find_below(name)
        if stat.S_ISDIR(status.st_mode):
            self._enter(level, name, f"{path}/", status, was)
        elif stat.S_IFMT(status.st_mode) in _KINDS:
            self._add_file(level, name, path, status, was)

    def _enter(
        self, level: _Level, name: str, path: str, status: os.stat_result, was: os.stat_result | None
    ) -> None:
        if len(self._levels) >= _MAX_DEPTH:
            raise ContentError(f"{path[:100]!r}... lies {_MAX_DEPTH} directories deep: too deep for a layer")
        fd = open_directory(level.fd, name)
        below = None
        try:
            if was is not None and stat.S_ISDIR(was.st_mode) and level.below is not None:
                below = open_directory(level.below, name)
            hides = level.hides or is_opaque(fd)
            inner = _Level(path, fd, below, hides, self._entry(path, status, read_xattrs(fd)))
        except BaseException:
            os.close(fd)
            raise
        self._levels.append(inner)
        if below is None or not _same_attributes(fd, status, below, os.fstat(below)):
            self._write_directories(self._levels)
        self._list(inner)

    def _add_file(
        self, level: _Level, name: str, path: str, status: os.stat_result, was: os.stat_result | None
    ) -> None:
        entry = self._entry(path, status, read_xattrs(entry_path(level.fd, name)))
        if entry.kind is Kind.SYMLINK:
            entry = replace(entry, link_name=os.readlink(name, dir_fd=level.fd))
        is_same = was is not None and _same_file(level, name, status, was)
        if status.st_nlink > 1:
            first = self._first_names.get(status.st_ino)
            if first is not None:
                self._add(_link(entry, first))
                return
            if is_same:  # written after all, should another of its names count
                self._unchanged_names.setdefault(status.st_ino, []).append((entry, [*self._levels]))
                return
            self._first_names[status.st_ino] = path
        if is_same:
            return
        self._add(entry, _data(level.fd, name, entry) if entry.kind is Kind.FILE else ())
        for other, levels in self._unchanged_names.pop(status.st_ino, []) if status.st_nlink > 1 else ():
            self._write_directories(levels)
            self._add(_link(other, path))

    def _entry(self, path: str, status: os.stat_result, xattrs: dict[str, bytes]) -> TarEntry:
        kind = _KINDS[stat.S_IFMT(status.st_mode)]
        is_device = kind in (Kind.CHARACTER_DEVICE, Kind.BLOCK_DEVICE)
        return TarEntry(
            name=path,
            kind=kind,
            size=status.st_size if kind is Kind.FILE else 0,
            mode=stat.S_IMODE(status.st_mode),
            uid=status.st_uid,
            gid=status.st_gid,
            mtime_ns=self._time_ns(status),
            device=(os.major(status.st_rdev), os.minor(status.st_rdev)) if is_device else (0, 0),
            pax={XATTR_PREFIX + name: value for name, value in xattrs.items()} if xattrs else {},
        )

    def _time_ns(self, status: os.stat_result) -> int:
        seconds = status.st_mtime_ns // _SECOND_NS
        return (seconds if self._epoch is None else min(seconds, self._epoch)) * _SECOND_NS

    def _write_directories(self, levels: list[_Level]) -> None:
        """Those that are not written yet."""
        for level in levels:
            if level.entry is not None:
                entry, level.entry = level.entry, None
                self._tar.add(entry)
                self.count += 1

    def _add(self, entry: TarEntry, data: Iterable[bytes] = ()) -> None:
        self._write_directories(self._levels)
        self._tar.add(entry, data)
        self.count += 1


def _link(entry: TarEntry, target: str) -> TarEntry:
    return replace(entry, kind=Kind.HARD_LINK, size=0, link_name=target, pax={})


def _status(directory: int, name: str) -> os.stat_result:
    return os.stat(name, dir_fd=directory, follow_symlinks=False)


def _data(directory: int, name: str, entry: TarEntry) -> Iterator[bytes]:
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    try:
        left = entry.size
        while left and (piece := os.read(fd, min(left, PIECE_BYTES))):
            left -= len(piece)
            yield piece
    finally:
        os.close(fd)


def _same_attributes(one: int | str, status: os.stat_result, other: int | str, was: os.stat_result) -> bool:
    facts = (status.st_mode, status.st_uid, status.st_gid)
    return facts == (was.st_mode, was.st_uid, was.st_gid) and read_xattrs(one) == read_xattrs(other)


def _same_file(level: _Level, name: str, status: os.stat_result, was: os.stat_result) -> bool:
    facts = (status.st_mtime_ns, status.st_size, status.st_rdev)
    if facts != (was.st_mtime_ns, was.st_size, was.st_rdev) or level.below is None:
        return False
    here, there = entry_path(level.fd, name), entry_path(level.below, name)
    if not _same_attributes(here, status, there, was):
        return False
    if stat.S_ISLNK(status.st_mode):
        return Path(here).readlink() == Path(there).readlink()
    return not stat.S_ISREG(status.st_mode) or _same_data(level.fd, level.below, name)


def _same_data(one: int, other: int, name: str) -> bool:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    here, there = os.open(name, flags, dir_fd=one), os.open(name, flags, dir_fd=other)
    try:
        while piece := os.read(here, PIECE_BYTES):
            if os.read(there, len(piece)) != piece:
                return False
        return not os.read(there, 1)
    finally:
        os.close(here)
        os.close(there)
