"""`Directories`: paths below a root, walked by openat and O_NOFOLLOW alone, with recently used descriptors kept.

Invariant: no symbolic link is ever followed, so that nothing outside of the root is reached, whatever the tree holds or
somebody puts there meanwhile.
"""

import os
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_KEPT = 64

Missing = Callable[[int, str, str], None]
"""Makes a directory that is not there: (parent, name, path)."""


class Directories:
    """Use it in a `with`. Paths are relative, clean, "" is the root. Not thread-safe."""

    def __init__(self, root: Path) -> None:
        """Raises OSError."""
        self.root = os.open(root, _OPEN)
        self._open: OrderedDict[str, int] = OrderedDict()

    def open(self, path: str, missing: Missing | None = None) -> int:
        """Its descriptor, which stays ours and is good until the next call.

        missing: called with (parent, name, path) for what is not there or no directory, to make it. Raises OSError:
        FileNotFoundError, NotADirectoryError (of a link, too).
        """
        known = self._open.get(path)
        if known is not None:
            self._open.move_to_end(path)
            return known
        fd, walked = self.root, ""
        for name in path.split("/") if path else ():
            inner = f"{walked}/{name}" if walked else name
            fd, walked = self._step(fd, name, inner, missing), inner
        return fd

    def _step(self, parent: int, name: str, path: str, missing: Missing | None) -> int:
        known = self._open.get(path)
        if known is not None:
            self._open.move_to_end(path)
            return known
        try:
            fd = open_directory(parent, name)
        except (FileNotFoundError, NotADirectoryError):
            if missing is None:
                raise
            missing(parent, name, path)
            fd = open_directory(parent, name)
        self._open[path] = fd
        if len(self._open) > _KEPT:
            os.close(self._open.popitem(last=False)[1])
        return fd

    def forget(self) -> None:
        """A directory was replaced: descriptors lead to the old one."""
        while self._open:
            os.close(self._open.popitem()[1])

    def close(self) -> None:
        self.forget()
        os.close(self.root)

    def __enter__(self) -> "Directories":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_directory(parent: int, name: str) -> int:
    """The caller closes. Raises OSError: NotADirectoryError for a symbolic link, too."""
    return os.open(name, _OPEN, dir_fd=parent)


def remove_tree(parent: int, name: str) -> None:
    """A directory and all in it, however deep: what is not empty is moved up and has its turn. Raises OSError."""
    root = open_directory(parent, name)
    try:
        pending, moved = ["."], 0
        while pending:
            inner = pending.pop()
            fd = open_directory(root, inner)
            try:
                moved = _empty(fd, root, inner == ".", moved, pending)
            finally:
                os.close(fd)
            if inner != ".":
                os.rmdir(inner, dir_fd=root)
    finally:
        os.close(root)
    os.rmdir(name, dir_fd=parent)


def _empty(fd: int, root: int, is_root: bool, moved: int, pending: list[str]) -> int:
    """The new count of moved directories."""
    with os.scandir(fd) as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_directory in found:
        if not is_directory:
            os.unlink(name, dir_fd=fd)
        elif is_root:
            pending.append(name)
        else:
            moved += 1
            os.rename(name, f".removed-{moved}", src_dir_fd=fd, dst_dir_fd=root)
            pending.append(f".removed-{moved}")
    return moved
