"""`selected`: which files of a tree COPY, ADD and a mount mean, and where each goes below the destination.

The same walk gives what is copied and what is hashed for the cache, so that the two cannot differ. Rules as of
BuildKit (solver/llbsolver/file, tonistiigi/fsutil): patterns are Go's filepath.Match, an empty match is fine and a
missing literal is not; a directory stands for what is in it, and --exclude means what is in directories alone; symbolic
links in a source's own path are followed, inside of the root; links below are copied as links. With --parents the path
behind `/./` is kept.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from agent.content.errors import InputError
from builder.dockerfile.ignore import IgnorePatterns
from builder.dockerfile.patterns import has_wildcards, match_pattern
from builder.run.root_path import path_in_root


@dataclass(frozen=True, slots=True)
class Picked:
    """path: on this machine. name: below the destination, "" the destination itself. top: what the pattern named,
    as `base`, which differs from the path's where that was a symbolic link.

    A picked directory is followed by what is in it.
    """

    path: Path
    name: str
    status: os.stat_result
    top: bool = False
    base: str = ""

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.status.st_mode)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What `selected` is asked for. ignore: of the context; excludes: of the instruction. literal: the paths are no
    patterns, as those of mounts.
    """

    root: Path
    paths: tuple[str, ...]
    ignore: IgnorePatterns
    excludes: tuple[str, ...] = ()
    parents: bool = False
    literal: bool = False


def selected(wanted: Wanted) -> Iterator[Picked]:
    """In the order of the patterns; within one sorted, directories before what is in them.

    Raises InputError for a literal path that is not there, or is ignored; OSError.
    """
    excludes = IgnorePatterns.of(wanted.excludes)
    for pattern in wanted.paths:
        if wanted.parents:
            yield from _with_parents(wanted, pattern, excludes)
            continue
        for inside in _matches(wanted, pattern):
            yield from _pick(wanted, inside, "", excludes)


def _with_parents(wanted: Wanted, pattern: str, excludes: IgnorePatterns) -> Iterator[Picked]:
    """What is before `/./` is left out of the destination; the directories on the way come along."""
    pivot, found, rest = pattern.partition("/./")
    start, kept = (pivot.strip("/"), rest) if found else ("", pattern.removeprefix("./"))
    if has_wildcards(kept):
        wants = IgnorePatterns.of((kept,))  # `**` has the same meaning there
        for inside in _matches(wanted, start):
            yield from _included(wanted, wants, excludes, inside, "", [])
        return
    seen: set[str] = set()
    for inside in _matches(wanted, f"{start}/{kept}"):
        name = inside.removeprefix(start).strip("/")
        folders = name.split("/")[:-1]
        for depth in range(1, len(folders) + 1):
            folder = "/".join(folders[:depth])
            if folder not in seen:
                seen.add(folder)
                path = path_in_root(wanted.root, f"{start}/{folder}")
                yield Picked(path, folder, path.stat())
        yield from _pick(wanted, inside, name, excludes)


def _included(
    wanted: Wanted,
    wants: IgnorePatterns,
    excludes: IgnorePatterns,
    start: str,
    name: str,
    waiting: list[Picked],
) -> Iterator[Picked]:
    """What matches below `name`, which is below `start`; waiting: directories that come if anything in them does."""
    for base in sorted(os.listdir(wanted.root / start / name)):
        goes_to = _joined(name, base)
        path = _joined(start, goes_to)
        picked = Picked(wanted.root / path, goes_to, (wanted.root / path).lstat())
        left_out = wanted.ignore.matches(path) or excludes.matches(goes_to)
        comes = wants.matches(goes_to) and not left_out
        if comes:
            yield from (*waiting, picked)
            waiting = []
        if picked.is_directory and not (wanted.ignore.prunes(path) or excludes.prunes(goes_to)):
            over = [] if comes else [*waiting, picked]
            below = _included(wanted, wants, excludes, start, goes_to, over)
            first = next(below, None)
            if first is not None:
                waiting = []  # they came with it
                yield first
                yield from below


def _pick(wanted: Wanted, inside: str, name: str, excludes: IgnorePatterns) -> Iterator[Picked]:
    path = path_in_root(wanted.root, inside)
    try:
        status = path.lstat()
    except FileNotFoundError:
        raise InputError(f'"/{inside}": not found: it is a symbolic link to what is not there') from None
    base = inside.rpartition("/")[2]
    yield Picked(path, name, status, top=True, base=base)
    if not stat.S_ISDIR(status.st_mode):
        return
    real = str(path.relative_to(wanted.root))
    yield from _below(wanted, "" if real == "." else real, "", name, excludes)


def _below(wanted: Wanted, inside: str, within: str, name: str, excludes: IgnorePatterns) -> Iterator[Picked]:
    """inside: the directory, from the root; within: from the picked one; name: below the destination."""
    for base in sorted(os.listdir(wanted.root / inside)):
        path, own, goes_to = _joined(inside, base), _joined(within, base), _joined(name, base)
        left_out = wanted.ignore.matches(path) or excludes.matches(own)
        status = (wanted.root / path).lstat()
        picked = Picked(wanted.root / path, goes_to, status)
        if not picked.is_directory:
            if not left_out:
                yield picked
            continue
        if not left_out:
            yield picked
            yield from _below(wanted, path, own, goes_to, excludes)
        elif not (wanted.ignore.prunes(path) or excludes.prunes(own)):
            below = _below(wanted, path, own, goes_to, excludes)
            first = next(below, None)
            if first is not None:  # something in it is an exception
                yield picked
                yield first
                yield from below


def _matches(wanted: Wanted, pattern: str) -> list[str]:
    """Paths from the root, "" for the root itself, sorted."""
    clean = "/".join(part for part in pattern.split("/") if part not in ("", "."))
    if wanted.literal or not has_wildcards(clean):
        path = path_in_root(wanted.root, clean)
        real = str(path.relative_to(wanted.root))  # a link does not bring in what is left out
        if not os.path.lexists(path) or any(
            _is_ignored(wanted, one, path) for one in {clean, real} - {"", "."}
        ):
            ignored = ": it is left out by .dockerignore" if os.path.lexists(path) else ""
            raise InputError(f'"/{clean}": not found{ignored}')
        return [clean]
    parts = clean.split("/")
    plain = list(takewhile(lambda part: not has_wildcards(part), parts))
    # Links before the first wildcard are followed, behind it there are none to follow.
    found = [str(path_in_root(wanted.root, "/".join(plain)).relative_to(wanted.root)).removeprefix(".")]
    for part in parts[len(plain) :]:
        found = [inner for outer in found for inner in _entries(wanted, outer, part)]
    return [one for one in found if not _is_ignored(wanted, one, wanted.root / one)]


def _is_ignored(wanted: Wanted, inside: str, path: Path) -> bool:
    if not wanted.ignore.matches(inside):
        return False
    return wanted.ignore.prunes(inside) or not path.is_dir()


def _entries(wanted: Wanted, folder: str, part: str) -> Iterator[str]:
    directory = wanted.root / folder
    if directory.is_symlink() or not directory.is_dir():
        return
    for name in sorted(os.listdir(directory)):
        if match_pattern(part, name):
            yield _joined(folder, name)


def _joined(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
