"""`copy_into`: COPY and ADD into a tree, `make_directory`: WORKDIR. Blocking; nothing else may run in the tree.

Symbolic links on the way to the destination are followed, inside of the tree and never out of it. Files keep mode,
time, extended attributes and, within one source, their hard links among each other; what is copied from a context
belongs to 0:0, what comes from an image or a step keeps its owner, unless --chown says whose it is. Directories that
are made on the way are 0755, or take --chown and an octal --chmod; so does the destination that a directory's contents
go to. A file takes no directory's place, and no directory that of anything else: as BuildKit (tonistiigi/fsutil).
"""

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agent.content.errors import InputError, ShoalError
from agent.store.disk_errors import disk_errors
from builder.dockerfile.ignore import IgnorePatterns
from builder.layers.archives import is_archive, unpack_archive_file
from builder.layers.attributes import read_xattrs, write_xattrs
from builder.layers.file_data import fill
from builder.layers.file_mode import parse_mode
from builder.layers.interruption import stop_if_cancelled
from builder.layers.selection import Picked, Wanted, selected
from builder.plan.steps import CopyOperation, GitSource, MakeDirectory
from builder.run.root_path import path_in_root
from builder.run.users import LARGEST_ID, find_account, find_group

Owner = tuple[int, int]
_DIRECTORY_MODE = 0o755
_FILE_MODE = 0o644


@dataclass(frozen=True, slots=True)
class CopySource:
    """root: of what `paths` are in, None where there are none. files: of the URLs, gits: where each was checked out."""

    root: Path | None
    ignore: IgnorePatterns = field(default_factory=IgnorePatterns)
    files: Sequence[Path] = ()
    gits: Sequence[tuple[GitSource, Path]] = ()
    is_context: bool = False


def copy_into(tree: Path, operation: CopyOperation, source: CopySource) -> None:
    """Raises InputError for what is not there or cannot be, ContentError for a hostile archive, DiskError."""
    with disk_errors(f"copy to {operation.destination}", tree):
        _Copying(tree, operation, source.is_context).run(source)


def make_directory(tree: Path, operation: MakeDirectory) -> None:
    """Those that are there stay as they are. Raises InputError, DiskError."""
    with disk_errors(f"make {operation.path}", tree):
        owner = named_owner(operation.owner, tree) if operation.owner else (0, 0)
        _make_directories(path_in_root(tree, operation.path), tree, owner, _DIRECTORY_MODE)


class _Copying:
    def __init__(self, tree: Path, operation: CopyOperation, is_context: bool) -> None:
        self._tree = tree
        self._operation = operation
        self._given = None if operation.owner is None else named_owner(operation.owner, tree)
        self._mode = None if operation.mode is None else parse_mode(operation.mode)
        self._is_context = is_context
        self._links: dict[tuple[int, int], Path] = {}
        self._times: dict[Path, tuple[int, int]] = {}

    def run(self, source: CopySource) -> None:
        operation = self._operation
        if operation.paths:
            assert source.root is not None
            wanted = Wanted(
                source.root, operation.paths, source.ignore, operation.excludes, operation.parents
            )
            self._copy(wanted, unpack=operation.unpack_archives)
        for document in operation.inline:
            self._write(document.name, document.content.encode("utf-8", "surrogateescape"))
        for file in source.files:
            picked = Picked(file, "", file.lstat(), top=True, base=file.name)
            self._copy_top(picked, unpack=operation.unpack_urls)
        for git, root in source.gits:
            self._is_context = True
            self._copy(
                Wanted(root, (git.subdirectory or ".",), IgnorePatterns(), operation.excludes), unpack=False
            )
        for path, times_ns in reversed(self._times.items()):
            os.utime(path, ns=times_ns)

    # --- where things go ----------------------------------------------------------------------------------------

    def _copy(self, wanted: Wanted, *, unpack: bool) -> None:
        base = Path()
        for picked in selected(wanted):
            stop_if_cancelled()
            if picked.top:
                self._links.clear()
            if wanted.parents:
                self._copy_one(picked, self._directory() / picked.name)
            elif picked.top and picked.is_directory:
                base = self._directory()
                self._times[base] = (picked.status.st_atime_ns, picked.status.st_mtime_ns)
            elif picked.top:
                self._copy_top(picked, unpack=unpack)
            else:
                self._copy_one(picked, base / picked.name)

    def _copy_top(self, picked: Picked, *, unpack: bool) -> None:
        if unpack and stat.S_ISREG(picked.status.st_mode) and is_archive(picked.path):
            directory = path_in_root(self._tree, self._operation.destination)
            self._make(directory)
            inside = "/" + str(directory.relative_to(self._tree))
            unpack_archive_file(picked.path, self._tree, inside, self._given)
            return
        self._copy_one(picked, self._file_goes_to(picked.base))

    def _file_goes_to(self, name: str) -> Path:
        """Into a directory, or in place of the file that the destination names."""
        destination = self._operation.destination
        path = path_in_root(self._tree, destination)
        if destination.endswith("/") or path.is_dir():
            return self._directory() / name
        self._make(path.parent)
        return path

    def _directory(self) -> Path:
        path = path_in_root(self._tree, self._operation.destination)
        self._make(path)
        return path

    def _make(self, directory: Path) -> None:
        octal = None if self._mode is None else self._mode.octal
        mode = _DIRECTORY_MODE if octal is None else octal & 0o777
        _make_directories(directory, self._tree, self._given or (0, 0), mode)

    # --- one file -----------------------------------------------------------------------------------------------

    def _write(self, name: str, content: bytes) -> None:
        """A here-document."""
        path = self._file_goes_to(name)
        self._clear(path)
        path.write_bytes(content)
        uid, gid = self._given or (0, 0)
        os.chown(path, uid, gid)
        path.chmod(_FILE_MODE if self._mode is None else self._mode.of(_FILE_MODE, is_directory=False))

    def _copy_one(self, picked: Picked, path: Path) -> None:
        status = picked.status
        if picked.is_directory:
            if not os.path.lexists(path):
                path.mkdir()
            elif path.is_symlink() or not path.is_dir():
                raise InputError(f"cannot copy a directory to {self._shown(path)}, which is none")
            self._times[path] = (status.st_atime_ns, status.st_mtime_ns)
        else:
            self._clear(path)
            first = self._links.get((status.st_dev, status.st_ino)) if status.st_nlink > 1 else None
            if first is not None:
                os.link(first, path, follow_symlinks=False)
                return
            if status.st_nlink > 1:
                self._links[status.st_dev, status.st_ino] = path
            _make_like(picked, path)
        self._put_attributes(picked, path)

    def _clear(self, path: Path) -> None:
        if path.is_dir() and not path.is_symlink():
            raise InputError(f"cannot copy a file to {self._shown(path)}, which is a directory")
        path.unlink(missing_ok=True)

    def _shown(self, path: Path) -> str:
        return f"/{path.relative_to(self._tree)}"

    def _put_attributes(self, picked: Picked, path: Path) -> None:
        status = picked.status
        kept = (0, 0) if self._is_context else (status.st_uid, status.st_gid)
        uid, gid = self._given or kept
        os.chown(path, uid, gid, follow_symlinks=False)
        if not stat.S_ISLNK(status.st_mode):
            mode = stat.S_IMODE(status.st_mode)
            path.chmod(mode if self._mode is None else self._mode.of(mode, is_directory=picked.is_directory))
        write_xattrs(str(path), read_xattrs(str(picked.path)))
        if not picked.is_directory:
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns), follow_symlinks=False)


def _make_like(picked: Picked, path: Path) -> None:
    """The data. A socket becomes an empty file, as in BuildKit."""
    mode = picked.status.st_mode
    if stat.S_ISREG(mode):
        source = os.open(picked.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            new = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                fill(source, new)
            finally:
                os.close(new)
        finally:
            os.close(source)
    elif stat.S_ISLNK(mode):
        path.symlink_to(os.readlink(picked.path))  # noqa: PTH115 -- as it is written
    elif stat.S_ISSOCK(mode):
        path.touch()
    else:
        os.mknod(path, mode, picked.status.st_rdev)


def _make_directories(path: Path, tree: Path, owner: Owner, mode: int) -> None:
    missing = []
    while path != tree and not path.is_dir():
        if os.path.lexists(path):
            raise InputError(f"cannot make a directory at /{path.relative_to(tree)}: there is a file")
        missing.append(path)
        path = path.parent
    for one in reversed(missing):
        one.mkdir()
        os.chown(one, *owner)
        one.chmod(mode)


def named_owner(text: str, tree: Path) -> Owner:
    """`user[:group]`. BuildKit's rules, which are not those of RUN's user: a number is also its own group, whatever
    /etc/passwd says, and a name that the image does not know is root. Raises InputError for a file beyond reason."""
    name, _, group = text.partition(":")
    uid, gid = 0, 0
    try:
        if name.isdecimal():
            uid = gid = _id(name)
        elif name:
            account = find_account(name, tree)
            uid, gid = (account.uid, account.gid) if account else (0, 0)
        if group.isdecimal():
            gid = _id(group)
        elif group and (known := find_group(group, tree)) is not None:
            gid = known
    except ShoalError as error:
        raise InputError(f"cannot tell who {text[:100]} is: {error}") from None
    return uid, gid


def _id(text: str) -> int:
    number = int(text[:20])
    if number > LARGEST_ID:
        raise InputError(f"{text[:20]} is beyond the largest user or group number, {LARGEST_ID}")
    return number
