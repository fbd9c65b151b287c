"""ADD's local archives: told by their content, unpacked over a tree. Blocking.

A tar, also compressed by gzip, bzip2, xz or zstd. Members keep mode, owner, time and extended attributes. Names stay
below the destination: one with `..` in it is refused, an absolute one counts from the destination (as Docker has it);
symbolic links that are on the way are followed inside of the tree alone. Bombs: agent/images/compression.py.
"""

import os
import shutil
import stat
from pathlib import Path

from agent.content.errors import ContentError
from agent.images.compression import open_plain
from agent.images.tar_entry import Kind, TarEntry, safe_path
from agent.images.tar_reader import PIECE_BYTES, Read, TarReader
from builder.layers.attributes import write_xattrs
from builder.layers.interruption import stop_if_cancelled
from builder.run.root_path import path_in_root

_SPECIAL = {Kind.CHARACTER_DEVICE: stat.S_IFCHR, Kind.BLOCK_DEVICE: stat.S_IFBLK, Kind.FIFO: stat.S_IFIFO}


def is_archive(path: Path) -> bool:
    """A tar, compressed or not, whose first header can be read. Raises OSError."""
    with path.open("rb") as file:
        try:
            return TarReader(open_plain(file.read).read).next_entry() is not None
        except ContentError:
            return False


def unpack_archive_file(path: Path, tree: Path, inside: str, owner: tuple[int, int] | None) -> None:
    """Raises ContentError, OSError."""
    with path.open("rb") as file:
        unpack_archive(file.read, tree, inside, owner)


def unpack_archive(read: Read, tree: Path, inside: str = "/", owner: tuple[int, int] | None = None) -> None:
    """To `inside` of `tree`. owner None: the members' own. Raises ContentError, OSError."""
    reader = TarReader(open_plain(read).read)
    directories: list[tuple[Path, int]] = []
    while (entry := reader.next_entry()) is not None:
        path = safe_path(entry.name.lstrip("/"))
        folder, _, name = path.rpartition("/")
        parent = path_in_root(tree, f"{inside}/{folder}")
        target = parent / name if name else parent
        if name:
            _make_parents(parent, tree)
        elif entry.kind is not Kind.DIRECTORY:
            raise ContentError(
                f"archive has {entry.name[:200]!r}, its root, as something else than a directory"
            )
        _unpack(entry, target, reader, tree, inside)
        if entry.kind is Kind.HARD_LINK:
            continue
        _put_attributes(entry, target, owner)
        if entry.kind is Kind.DIRECTORY:
            directories.append((target, entry.mtime_ns))
    for target, mtime_ns in reversed(directories):
        if target.is_dir() and not target.is_symlink():
            os.utime(target, ns=(mtime_ns, mtime_ns))


def _unpack(entry: TarEntry, target: Path, reader: TarReader, tree: Path, inside: str) -> None:
    if entry.kind is Kind.DIRECTORY:
        if not target.is_dir() or target.is_symlink():
            _clear(target)
            target.mkdir()
        return
    _clear(target)
    match entry.kind:
        case Kind.FILE:
            with open(
                os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb"
            ) as file:
                while piece := reader.read(PIECE_BYTES):
                    stop_if_cancelled()
                    file.write(piece)
        case Kind.SYMLINK:
            target.symlink_to(entry.link_name)
        case Kind.HARD_LINK:
            link = safe_path(entry.link_name.lstrip("/"))
            source = path_in_root(tree, f"{inside}/{link.rpartition('/')[0]}") / link.rpartition("/")[2]
            if not os.path.lexists(source) or source.is_dir():
                raise ContentError(f"archive has the hard link {entry.name[:200]!r} to what is no file")
            os.link(source, target, follow_symlinks=False)
        case _:
            os.mknod(target, _SPECIAL[entry.kind] | 0o600, os.makedev(*entry.device))


def _put_attributes(entry: TarEntry, target: Path, owner: tuple[int, int] | None) -> None:
    uid, gid = owner or (entry.uid, entry.gid)
    os.chown(target, uid, gid, follow_symlinks=False)
    if entry.kind is not Kind.SYMLINK:
        target.chmod(entry.mode & 0o7777)
    write_xattrs(str(target), entry.xattrs)
    os.utime(target, ns=(entry.mtime_ns, entry.mtime_ns), follow_symlinks=False)


def _make_parents(directory: Path, tree: Path) -> None:
    if directory == tree or directory.is_dir():
        return
    _make_parents(directory.parent, tree)
    if os.path.lexists(directory):
        raise ContentError(f"archive has members below /{directory.relative_to(tree)}, which is no directory")
    directory.mkdir(0o755)


def _clear(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
