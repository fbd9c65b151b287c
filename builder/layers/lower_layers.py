"""`LowerLayers`: what a path is in the layers below, without mounting them: whiteouts and opaque directories count."""

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from builder.layers.attributes import entry_path, is_opaque, is_whiteout, read_xattrs, write_xattrs
from builder.layers.directories import Directories, open_directory
from builder.layers.file_data import copy_data


@dataclass(frozen=True, slots=True)
class Found:
    """An inode of a lower layer; `directory`: a descriptor of LowerLayers', good until it looks for the next path."""

    directory: int
    name: str
    status: os.stat_result

    @contextmanager
    def opened(self) -> Iterator[int]:
        """Of a directory. Raises OSError."""
        fd = open_directory(self.directory, self.name or ".")
        try:
            yield fd
        finally:
            os.close(fd)

    def copy_to(self, parent: int, name: str) -> None:
        """All of it but a directory. Raises OSError."""
        status = self.status
        if stat.S_ISLNK(status.st_mode):
            os.symlink(os.readlink(self.name, dir_fd=self.directory), name, dir_fd=parent)
        elif stat.S_ISREG(status.st_mode):
            copy_data(self.directory, self.name, parent, name)
        else:
            os.mknod(name, stat.S_IFMT(status.st_mode) | 0o600, status.st_rdev, dir_fd=parent)
        os.chown(name, status.st_uid, status.st_gid, dir_fd=parent, follow_symlinks=False)
        path = entry_path(parent, name)
        if not stat.S_ISLNK(status.st_mode):
            Path(path).chmod(stat.S_IMODE(status.st_mode))
        write_xattrs(path, read_xattrs(entry_path(self.directory, self.name)))
        times_ns = (status.st_atime_ns, status.st_mtime_ns)
        os.utime(name, ns=times_ns, dir_fd=parent, follow_symlinks=False)


class LowerLayers:
    """Use it in a `with`."""

    def __init__(self, layers: Sequence[Path]) -> None:
        """The topmost first. Raises OSError."""
        self._opened = ExitStack()
        with self._opened:
            self._layers = [self._opened.enter_context(Directories(layer)) for layer in layers]
            self._opened = self._opened.pop_all()

    def __enter__(self) -> "LowerLayers":
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def find(self, path: str) -> Found | None:
        """Raises OSError."""
        for layer in self._layers:
            found, is_hidden = _look(layer, path)
            if found is not None:
                return found
            if is_hidden:
                return None
        return None


def _look(layer: Directories, path: str) -> tuple[Found | None, bool]:
    """What this layer has, and whether it hides what lower ones have."""
    if not path:
        return Found(layer.root, "", os.fstat(layer.root)), False
    walked, fd, is_hidden = "", layer.root, False
    for name in path.split("/"):
        is_hidden = is_hidden or is_opaque(fd)
        walked = f"{walked}/{name}" if walked else name
        try:
            status = os.stat(name, dir_fd=fd, follow_symlinks=False)
        except FileNotFoundError:
            return None, is_hidden
        if is_whiteout(status):
            return None, True
        if walked == path:
            return Found(fd, name, status), False
        if not stat.S_ISDIR(status.st_mode):
            return None, True
        fd = layer.open(walked)
    return None, is_hidden
