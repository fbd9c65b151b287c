"""`BlobIndex`: what is recorded of each complete blob: size, last use, chunk digests; and who holds it for a pull.

The files in blobs/ are the truth; these rows follow them (a row only after its rename, none before an unlink), and
`reconcile` mends what a kill in between left. Last uses are collected in memory: serving a blob costs no SQL.
"""

import sqlite3
from collections.abc import Iterable, Mapping

from agent.content.digest import Digest
from agent.content.errors import InputError
from agent.store.database import Database

_FLUSH_SECONDS = 5.0
_TOUCH = "UPDATE blobs SET used_at = max(used_at, ?) WHERE digest = ?"


class BlobIndex:
    def __init__(self, database: Database, now: float) -> None:
        self._database = database
        self._touched: dict[Digest, float] = {}
        self._flush_at = now + _FLUSH_SECONDS

    def touch(self, digest: Digest, now: float) -> None:
        """Used now. Written by and by, and never waited for."""
        self._touched[digest] = now
        if now >= self._flush_at:
            self._flush_at = now + _FLUSH_SECONDS
            self.flush()

    def flush(self) -> None:
        """Write last uses, unless another writer is at work: then they stay for the next time."""
        batch, self._touched = self._touched, {}
        uses = list(batch.items())
        if uses and not self._database.write_nowait(_TOUCH, [(at, str(digest)) for digest, at in uses]):
            self._touched = batch | self._touched

    def record(self, digest: Digest, size: int, chunk_digests: bytes, now: float) -> None:
        with self._database.transaction() as writer:
            _insert(writer, digest, size, now)
            writer.execute("INSERT OR REPLACE INTO chunk_digests VALUES (?, ?)", (str(digest), chunk_digests))

    def record_chunk_digests(self, digest: Digest, chunk_digests: bytes) -> None:
        with self._database.transaction() as writer:
            writer.execute("INSERT OR REPLACE INTO chunk_digests VALUES (?, ?)", (str(digest), chunk_digests))

    def chunk_digests(self, digest: Digest) -> bytes | None:
        row = self._database.row("SELECT digests FROM chunk_digests WHERE digest = ?", (str(digest),))
        return None if row is None else row[0]

    def forget(self, digests: Iterable[Digest]) -> None:
        with self._database.transaction() as writer:
            _delete(writer, digests)

    def sizes(self) -> dict[Digest, int]:
        rows = self._database.rows("SELECT digest, size FROM blobs")
        return {Digest.parse(digest): size for digest, size in rows}

    def last_uses(self) -> dict[Digest, float]:
        """Including those not written yet."""
        rows = self._database.rows("SELECT digest, used_at FROM blobs")
        return {Digest.parse(digest): used_at for digest, used_at in rows} | dict(list(self._touched.items()))

    def total(self) -> tuple[int, int]:
        """(number of blobs, their bytes)"""
        row = self._database.row("SELECT count(*), coalesce(sum(size), 0) FROM blobs")
        return (row[0], row[1]) if row else (0, 0)

    def reconcile(self, files: Mapping[str, tuple[int, float]]) -> tuple[list[Digest], list[Digest]]:
        """Make the rows say what the files are: digest to (size, mtime); what does not look like one is passed over.
        Returns those whose size is another than the one recorded: damaged since they were verified, and taken out of
        the rows; and those without a file, which went without our doing (a row goes first)."""
        known: dict[str, int] = dict(self._database.rows("SELECT digest, size FROM blobs"))
        damaged = [Digest.parse(name) for name, (size, _) in files.items() if known.get(name, size) != size]
        gone = [Digest.parse(name) for name in known.keys() - files.keys()]
        new = [name for name in files.keys() - known.keys() if _is_digest(name)]
        if damaged or gone or new:
            with self._database.transaction() as writer:
                _delete(writer, [*gone, *damaged])
                for name in new:
                    _insert(writer, Digest.parse(name), *files[name])
        return damaged, gone

    # --- held by running pulls and builds ----------------------------------------------------------------------

    def hold(self, owner: str, digests: Iterable[Digest]) -> None:
        with self._database.transaction() as writer:
            writer.executemany(
                "INSERT OR IGNORE INTO holds VALUES (?, ?)", [(owner, str(digest)) for digest in digests]
            )

    def release(self, owner: str, digests: Iterable[Digest] | None = None) -> None:
        """Let go of `digests`, or of all that `owner` holds."""
        with self._database.transaction() as writer:
            if digests is None:
                writer.execute("DELETE FROM holds WHERE owner = ?", (owner,))
            else:
                rows = [(owner, str(digest)) for digest in digests]
                writer.executemany("DELETE FROM holds WHERE owner = ? AND digest = ?", rows)

    def held(self) -> dict[str, set[Digest]]:
        """What each owner holds."""
        held: dict[str, set[Digest]] = {}
        for owner, digest in self._database.rows("SELECT owner, digest FROM holds"):
            held.setdefault(owner, set()).add(Digest.parse(digest))
        return held


def _insert(writer: sqlite3.Connection, digest: Digest, size: int, used_at: float) -> None:
    writer.execute("INSERT OR REPLACE INTO blobs VALUES (?, ?, ?)", (str(digest), size, used_at))


def _delete(writer: sqlite3.Connection, digests: Iterable[Digest]) -> None:
    rows = [(str(digest),) for digest in digests]
    writer.executemany("DELETE FROM blobs WHERE digest = ?", rows)
    writer.executemany("DELETE FROM chunk_digests WHERE digest = ?", rows)


def _is_digest(text: str) -> bool:
    try:
        Digest.parse(text)
    except InputError:
        return False
    return True
