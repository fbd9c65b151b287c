"""`ContentDigests`: what selected files contain, as one digest for cache keys.

In it: name, kind, mode, owner, link, device, extended attributes, data, and which files are hard links of each other;
never times. Owners of a context count as 0:0, which they become. A context's files that have not changed since (device,
inode, size, mtime, ctime) are not read again; one that changed in the last moments is, since the clock of a file system
is coarse. What is known of files is a help alone: where it cannot be read or kept, everything is read.
"""

import os
import sqlite3
import stat
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from blake3 import blake3

from agent.content.errors import DiskError
from agent.store.disk_errors import disk_errors
from agent.store.write_ahead_log import remove_database
from builder.dockerfile.ignore import IgnorePatterns
from builder.layers.attributes import read_xattrs
from builder.layers.interruption import stop_if_cancelled
from builder.layers.selection import Picked, Wanted, selected
from builder.plan.cache_keys import Selection

_Learned = tuple[bytes, str, bytes]
_SETTLED_NS = 2_000_000_000
_THREADS_FROM_BYTES = 8 * 1024 * 1024
_PIECE_BYTES = 1024 * 1024
_MOST_FILES = 1_000_000  # some 100 MB; a file that is learned anew is the youngest again
_WAIT_SECONDS = 10.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (path BLOB PRIMARY KEY, stamp TEXT NOT NULL, digest BLOB NOT NULL)
"""


class ContentDigests:
    """Thread-safe. `path`: where what is known of the context's files is kept."""

    def __init__(self, path: Path) -> None:
        """Raises DiskError."""
        self._lock = threading.Lock()
        try:
            self._known = _opened(path)
        except sqlite3.OperationalError as error:
            raise DiskError(f"cannot use {path}: {error}") from None
        except sqlite3.DatabaseError:  # damaged: it can be made again
            remove_database(path)
            self._known = _opened(path)

    def close(self) -> None:
        self._known.close()

    def of(self, root: Path, selection: Selection, ignore: IgnorePatterns, *, is_context: bool) -> str:
        """Hex. Raises InputError for a path that is not there, DiskError."""
        wanted = Wanted(
            root,
            selection.paths,
            ignore,
            selection.excludes,
            selection.parents,
            literal=not selection.follows_patterns,
        )
        with disk_errors("read what is copied", root):
            return self._digest(selected(wanted), is_context)

    def of_file(self, path: Path) -> str:
        """Of the data of one file. Raises DiskError."""
        with disk_errors(f"read {path.name}", path.parent):
            return _data_digest(path, path.stat().st_size).hex()

    def _digest(self, found: Iterable[Picked], is_context: bool) -> str:
        hasher = blake3()
        learned: list[_Learned] = []
        links: dict[tuple[int, int], int] = {}
        for one in found:
            for part in (*self._parts(one, is_context, learned), _linked(one, links)):
                hasher.update(len(part).to_bytes(8, "big"))
                hasher.update(part)
        if learned:
            self._learn(learned)
        return hasher.hexdigest()

    def _parts(self, one: Picked, is_context: bool, learned: list[_Learned]) -> Iterable[bytes]:
        status = one.status
        owner = (0, 0) if is_context else (status.st_uid, status.st_gid)
        device = status.st_rdev if stat.S_ISBLK(status.st_mode) or stat.S_ISCHR(status.st_mode) else 0
        yield os.fsencode(one.name or (one.base if not one.is_directory else ""))
        yield f"{status.st_mode} {owner[0]} {owner[1]} {device}".encode()
        xattrs = read_xattrs(str(one.path))
        yield str(len(xattrs)).encode()
        for name, value in xattrs.items():
            yield os.fsencode(name)
            yield value
        if stat.S_ISLNK(status.st_mode):
            yield os.fsencode(os.readlink(one.path))  # noqa: PTH115 -- as it is written
        elif stat.S_ISREG(status.st_mode):
            yield str(status.st_size).encode()
            yield self._data(one, learned) if is_context else _data_digest(one.path, status.st_size)

    def _data(self, one: Picked, learned: list[_Learned]) -> bytes:
        status, path = one.status, os.fsencode(one.path)
        stamp = f"{status.st_dev} {status.st_ino} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"
        known = self._find(path, stamp)
        if known is not None:
            return known
        digest = _data_digest(one.path, status.st_size)
        if max(status.st_mtime_ns, status.st_ctime_ns) + _SETTLED_NS < time.time_ns():
            learned.append((path, stamp, digest))
        return digest

    def _find(self, path: bytes, stamp: str) -> bytes | None:
        asked = "SELECT digest FROM files WHERE path = ? AND stamp = ?"
        with self._lock, suppress(sqlite3.Error):
            row = self._known.execute(asked, (path, stamp)).fetchone()
            return None if row is None else bytes(row[0])
        return None

    def _learn(self, learned: list[_Learned]) -> None:
        with self._lock, suppress(sqlite3.Error), self._known:
            self._known.execute("BEGIN IMMEDIATE")
            self._known.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?)", learned)
            self._known.execute(
                "DELETE FROM files WHERE rowid <= (SELECT max(rowid) FROM files) - ?", (_MOST_FILES,)
            )


def _opened(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        with suppress(sqlite3.OperationalError):  # of an older version, and in use: it stays as it is
            database.execute("PRAGMA journal_mode = DELETE")  # WAL makes two files for whoever reads a line
        database.execute("PRAGMA synchronous = OFF")  # it can be made again
        database.execute(_SCHEMA)
    except sqlite3.Error:
        database.close()
        raise
    return database


def _linked(one: Picked, links: dict[tuple[int, int], int]) -> bytes:
    """Which of the files that have several names this is: the first is 0."""
    status = one.status
    if one.top:
        links.clear()
    if one.is_directory or status.st_nlink == 1:
        return b""
    return str(links.setdefault((status.st_dev, status.st_ino), len(links))).encode()


def _data_digest(path: Path, size: int) -> bytes:
    hasher = blake3(max_threads=blake3.AUTO if size >= _THREADS_FROM_BYTES else 1)
    with open(path, "rb", buffering=0) as file:
        while piece := file.read(_PIECE_BYTES if size < _THREADS_FROM_BYTES else 8 * _PIECE_BYTES):
            stop_if_cancelled()
            hasher.update(piece)
    return hasher.digest()
