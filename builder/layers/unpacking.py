"""`LayerUnpacking`: a layer's tar becomes a directory that overlay takes as a lower one.

Two steps, so that the layers of an image can be unpacked side by side: `unpack` needs nothing of the layers below;
`settle` afterwards takes from them what the tar only implies: the attributes of directories that it has no member
for, and files that its hard links lead to (copied up, as overlay would).
Rules as of agent.images.root_fs: a whiteout hides what lower layers have, never its own layer's; a member below
something that the same layer made no directory is refused. Every name is walked by openat: directories.py.
"""

import errno
import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from agent.content.errors import ContentError
from agent.images.layer_facts import check_layer_name
from agent.images.tar_entry import Kind, TarEntry, safe_path
from agent.images.tar_reader import Read, TarReader
from builder.layers.attributes import copy_directory_attributes, entry_path, is_whiteout, write_xattrs
from builder.layers.directories import Directories, remove_tree
from builder.layers.lower_layers import LowerLayers
from builder.layers.overlay import OPAQUE_XATTR

_WHITEOUT, _OPAQUE, _AUFS = ".wh.", ".wh..wh..opq", ".wh..wh."
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_DIRECTORY_MODE = 0o755  # of what nobody made


class LayerUnpacking:
    """Use it in a `with`. Methods raise ContentError for a layer that is not to be unpacked, OSError for this disk."""

    def __init__(self, root: Path) -> None:
        """root: an empty directory."""
        self._directories = Directories(root)
        self._times_ns: dict[str, int] = {}
        self._implied = {"": None}  # a dict for its order
        self._outside_links: list[TarEntry] = []

    def __enter__(self) -> "LayerUnpacking":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._directories.close()

    def unpack(self, read: Read) -> None:
        """`read`: the plain tar; what stands behind its end is not read."""
        reader = TarReader(read)
        while (entry := reader.next_entry()) is not None:
            try:
                self._unpack(entry, reader)
            except OSError as error:
                if error.errno in (errno.ENAMETOOLONG, errno.EINVAL):
                    raise ContentError(f"layer member {entry.name[:200]!r}: {error.strerror}") from error
                raise

    def settle(self, lowers: Sequence[Path]) -> None:
        """lowers: the layers below, settled, the topmost first."""
        with LowerLayers(lowers) as below:
            for entry in self._outside_links:
                self._copy_up(entry, below)
            for path in list(self._implied):
                self._adopt(path, below)
        for path, mtime_ns in self._times_ns.items():
            with suppress(FileNotFoundError, NotADirectoryError):  # a later member replaced it
                os.utime(self._directories.open(path), ns=(mtime_ns, mtime_ns))

    # --- one member ---------------------------------------------------------------------------------------------

    def _unpack(self, entry: TarEntry, reader: TarReader) -> None:
        path = check_layer_name(entry.name)
        folder, _, name = path.rpartition("/")
        if not path:
            if entry.kind is Kind.DIRECTORY:
                self._finish_directory(self._directories.root, "", entry)
        elif name == _OPAQUE:
            os.setxattr(self._parent(folder, entry), OPAQUE_XATTR, b"y")
        elif name.startswith(_AUFS):
            pass  # AUFS' own notes
        elif name.startswith(_WHITEOUT):
            self._hide(self._parent(folder, entry), name.removeprefix(_WHITEOUT))
        else:
            self._put(self._parent(folder, entry), path, name, entry, reader)

    def _parent(self, folder: str, entry: TarEntry) -> int:
        try:
            return self._directories.open(folder, self._imply)
        except (FileExistsError, NotADirectoryError):
            raise ContentError(
                f"layer has {entry.name[:200]!r} below something that it made no directory"
            ) from None

    def _imply(self, parent: int, name: str, path: str) -> None:
        """A directory that has no member, or none yet."""
        if _is_whiteout_at(parent, name):
            self._replace_whiteout(parent, name)
        else:
            os.mkdir(name, _DIRECTORY_MODE, dir_fd=parent)
        self._implied[path] = None

    def _hide(self, parent: int, name: str) -> None:
        try:
            os.mknod(name, stat.S_IFCHR, 0, dir_fd=parent)
        except FileExistsError:  # its own layer's stays; of a directory, what is below goes
            if stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
                os.setxattr(entry_path(parent, name), OPAQUE_XATTR, b"y", follow_symlinks=False)

    def _put(self, parent: int, path: str, name: str, entry: TarEntry, reader: TarReader) -> None:
        try:
            self._make(parent, path, name, entry, reader)
        except FileExistsError:
            if entry.kind is Kind.HARD_LINK and safe_path(entry.link_name) == path:
                raise ContentError(f"layer has the hard link {entry.name[:200]!r} to itself") from None
            self._clear(parent, path, name, entry)
            parent = self._parent(path.rpartition("/")[0], entry)
            self._make(parent, path, name, entry, reader)

    def _clear(self, parent: int, path: str, name: str, entry: TarEntry) -> None:
        """Make way for a later member of the same name."""
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if not stat.S_ISDIR(status.st_mode):
            os.unlink(name, dir_fd=parent)
            return
        self._directories.forget()
        remove_tree(self._parent(path.rpartition("/")[0], entry), name)

    def _make(self, parent: int, path: str, name: str, entry: TarEntry, reader: TarReader) -> None:
        match entry.kind:
            case Kind.FILE:
                self._make_file(parent, name, entry, reader)
            case Kind.DIRECTORY:
                self._make_directory(parent, path, name, entry)
            case Kind.HARD_LINK:
                self._link(parent, name, entry)
            case Kind.SYMLINK:
                os.symlink(entry.link_name, name, dir_fd=parent)
                _finish(parent, name, entry)
            case Kind.FIFO:
                os.mknod(name, stat.S_IFIFO | 0o600, 0, dir_fd=parent)
                _finish(parent, name, entry)
            case Kind.CHARACTER_DEVICE | Kind.BLOCK_DEVICE:
                kind = stat.S_IFCHR if entry.kind is Kind.CHARACTER_DEVICE else stat.S_IFBLK
                os.mknod(name, kind | 0o600, os.makedev(*entry.device), dir_fd=parent)
                _finish(parent, name, entry)

    @staticmethod
    def _make_file(parent: int, name: str, entry: TarEntry, reader: TarReader) -> None:
        fd = os.open(name, _CREATE, 0o600, dir_fd=parent)
        try:
            while piece := reader.read():
                written = os.write(fd, piece)
                while written < len(piece):
                    written += os.write(fd, memoryview(piece)[written:])
            os.fchown(fd, entry.uid, entry.gid)
            os.fchmod(fd, entry.mode)
            if entry.pax:
                write_xattrs(fd, entry.xattrs)
            os.utime(fd, ns=(entry.mtime_ns, entry.mtime_ns))
        finally:
            os.close(fd)

    def _make_directory(self, parent: int, path: str, name: str, entry: TarEntry) -> None:
        try:
            os.mkdir(name, 0o700, dir_fd=parent)
        except FileExistsError:
            if _is_whiteout_at(parent, name):
                self._replace_whiteout(parent, name)
            elif not stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
                raise
        self._finish_directory(self._directories.open(path), path, entry)

    @staticmethod
    def _replace_whiteout(parent: int, name: str) -> None:
        """The layer removed what was there, and made a directory of the same name."""
        os.unlink(name, dir_fd=parent)
        os.mkdir(name, _DIRECTORY_MODE, dir_fd=parent)
        os.setxattr(entry_path(parent, name), OPAQUE_XATTR, b"y", follow_symlinks=False)

    def _finish_directory(self, fd: int, path: str, entry: TarEntry) -> None:
        os.fchown(fd, entry.uid, entry.gid)
        os.fchmod(fd, entry.mode)
        if entry.pax:
            write_xattrs(fd, entry.xattrs)
        self._implied.pop(path, None)
        self._times_ns[path] = entry.mtime_ns

    def _link(self, parent: int, name: str, entry: TarEntry) -> None:
        folder, _, target = safe_path(entry.link_name).rpartition("/")
        own = os.dup(parent)  # opening the other directory may close it
        try:
            source = self._directories.open(folder)
            status = os.stat(target, dir_fd=source, follow_symlinks=False)
            if is_whiteout(status) or stat.S_ISDIR(status.st_mode):
                raise _no_file(entry)
            os.link(target, name, src_dir_fd=source, dst_dir_fd=own, follow_symlinks=False)
            _finish(own, name, entry)
        except NotADirectoryError:
            raise _no_file(entry) from None
        except FileNotFoundError:
            self._outside_links.append(entry)
        finally:
            os.close(own)

    # --- what lower layers have ---------------------------------------------------------------------------------

    def _copy_up(self, entry: TarEntry, below: LowerLayers) -> None:
        """A hard link to a file of a lower layer: both names, of one inode, in this layer."""
        target = safe_path(entry.link_name)
        folder, _, name = target.rpartition("/")
        parent = self._parent(folder, entry)
        if not _exists(parent, name):
            found = below.find(target)
            if found is None or stat.S_ISDIR(found.status.st_mode):
                raise _no_file(entry)
            found.copy_to(parent, name)
        link_folder, _, link_name = check_layer_name(entry.name).rpartition("/")
        own = os.dup(parent)
        try:
            destination = self._parent(link_folder, entry)
            if _exists(destination, link_name):
                os.unlink(link_name, dir_fd=destination)
            os.link(name, link_name, src_dir_fd=own, dst_dir_fd=destination, follow_symlinks=False)
            _finish(destination, link_name, entry)
        finally:
            os.close(own)

    def _adopt(self, path: str, below: LowerLayers) -> None:
        found = below.find(path)
        if found is None or not stat.S_ISDIR(found.status.st_mode):
            return
        with suppress(FileNotFoundError, NotADirectoryError), found.opened() as source:
            copy_directory_attributes(source, self._directories.open(path))
            self._times_ns[path] = found.status.st_mtime_ns


def _finish(parent: int, name: str, entry: TarEntry) -> None:
    """Owner, mode, xattrs and time of what is no directory and no open file."""
    os.chown(name, entry.uid, entry.gid, dir_fd=parent, follow_symlinks=False)
    status = os.stat(name, dir_fd=parent, follow_symlinks=False)
    path = entry_path(parent, name)
    if not stat.S_ISLNK(status.st_mode):
        Path(path).chmod(entry.mode)
    if entry.pax:
        write_xattrs(path, entry.xattrs)
    os.utime(name, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=parent, follow_symlinks=False)


def _is_whiteout_at(parent: int, name: str) -> bool:
    try:
        return is_whiteout(os.stat(name, dir_fd=parent, follow_symlinks=False))
    except FileNotFoundError:
        return False


def _exists(parent: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _no_file(entry: TarEntry) -> ContentError:
    return ContentError(
        f"layer has the hard link {entry.name[:200]!r} to {entry.link_name[:200]!r}, which is no file"
    )
