"""Where mounts go that the image has no place for: made before the run, gone after it, and no layer notices.

Runtimes would make them, too, but touch the times of the directory around them. What a RUN put into such a directory
stays, with the directory.
"""

import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from builder.run.root_path import path_in_root

_MOUNTED_ANYHOW = ("/dev", "/proc", "/sys")


class MountPoints:
    """targets: a path in the container each, and whether a directory goes there (else a file)."""

    def __init__(self, root: Path, targets: Iterable[tuple[str, bool]]) -> None:
        self._root = root
        self._targets = tuple(targets)
        self._made: list[Path] = []

    def make(self) -> None:
        outer = [*_MOUNTED_ANYHOW, *(target for target, _ in self._targets)]
        for target, is_directory in self._targets:
            if not _is_below(target, outer):
                self._make_one(path_in_root(self._root, target), is_directory)

    def remove(self) -> None:
        """Nothing may run in the tree any more. A symbolic link that took a directory's place is not followed."""
        for path in reversed(self._made):
            inside = "/" + str(path.relative_to(self._root))
            if path_in_root(self._root, str(PurePosixPath(inside).parent)) == path.parent:
                with _KeptTimes(path.parent):
                    _remove_empty(path)
        self._made.clear()

    def _make_one(self, path: Path, is_directory: bool) -> None:
        missing = []
        while not path.exists() and path != self._root:
            missing.append(path)
            path = path.parent
        for number, new in enumerate(reversed(missing), start=1):
            with _KeptTimes(new.parent):
                if is_directory or number < len(missing):
                    new.mkdir()
                    new.chmod(0o755)  # whatever the umask: it stays where the RUN puts something in it
                else:
                    new.touch(0o644)
            self._made.append(new)


class _KeptTimes:
    """A directory has the times that it had, whatever is made or removed in it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._before: os.stat_result | None = None

    def __enter__(self) -> None:
        try:
            self._before = self._directory.stat(follow_symlinks=False)
        except OSError:
            self._before = None

    def __exit__(self, *_exception: object) -> None:
        if self._before is not None:
            times = (self._before.st_atime_ns, self._before.st_mtime_ns)
            os.utime(self._directory, ns=times, follow_symlinks=False)


def _is_below(target: str, others: Sequence[str]) -> bool:
    parents = {str(parent) for parent in PurePosixPath(target).parents} - {"/"}
    return not parents.isdisjoint(str(PurePosixPath(other)) for other in others)


def _remove_empty(path: Path) -> None:
    try:
        found = path.lstat()
        if stat.S_ISDIR(found.st_mode):
            path.rmdir()
        elif stat.S_ISREG(found.st_mode) and found.st_size == 0:
            path.unlink()
    except OSError:
        pass  # not there any more, or the RUN's own now
