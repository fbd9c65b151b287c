"""`Database`: the store's SQLite file: its schema, its transactions between threads and processes, its errors.

WAL, so that readers never wait for a writer and a kill at any instant leaves the last whole transaction. synchronous is
NORMAL: a power cut may undo the newest transactions, never break the file; blobs themselves are fsynced and found
again at the next start. What must not be undone, because a push was acknowledged on it, asks for `durable`.
One connection writes, one reads, each under a lock: statements are short.
"""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agent.content.errors import DiskError
from agent.store.write_ahead_log import use_write_ahead_log

_BUSY_SECONDS = 30.0

# One step a schema version; never edit one that was released, append.
_MIGRATIONS = (
    """
    CREATE TABLE blobs (digest TEXT PRIMARY KEY, size INTEGER NOT NULL, used_at REAL NOT NULL) WITHOUT ROWID;
    CREATE TABLE chunk_digests (digest TEXT PRIMARY KEY, digests BLOB NOT NULL);
    CREATE TABLE tags (
        registry TEXT, name TEXT, tag TEXT, digest TEXT NOT NULL, media_type TEXT NOT NULL, size INTEGER NOT NULL,
        checked_at REAL NOT NULL, pulled_at REAL NOT NULL, PRIMARY KEY (registry, name, tag)) WITHOUT ROWID;
    CREATE INDEX tags_digest ON tags (digest);
    CREATE TABLE links (
        registry TEXT, name TEXT, digest TEXT, media_type TEXT NOT NULL, size INTEGER NOT NULL,
        is_document INTEGER NOT NULL, linked_at REAL NOT NULL, PRIMARY KEY (registry, name, digest)) WITHOUT ROWID;
    CREATE INDEX links_digest ON links (digest);
    CREATE TABLE documents (digest TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE children (
        parent TEXT, position INTEGER, child TEXT NOT NULL, media_type TEXT NOT NULL, size INTEGER NOT NULL,
        platform TEXT, PRIMARY KEY (parent, position)) WITHOUT ROWID;
    CREATE INDEX children_child ON children (child);
    CREATE TABLE pins (digest TEXT, reason TEXT, PRIMARY KEY (digest, reason)) WITHOUT ROWID;
    CREATE TABLE holds (owner TEXT, digest TEXT, PRIMARY KEY (owner, digest)) WITHOUT ROWID;
    """,
    """
    CREATE TABLE pushed (
        name TEXT, reference TEXT, digest TEXT NOT NULL, size INTEGER NOT NULL, media_type TEXT NOT NULL,
        subject TEXT, at REAL NOT NULL, writer BLOB NOT NULL, deleted INTEGER NOT NULL,
        PRIMARY KEY (name, reference)) WITHOUT ROWID;
    CREATE INDEX pushed_subject ON pushed (name, subject);
    CREATE INDEX links_linked_at ON links (registry, linked_at);
    """,
    """
    CREATE TABLE push_queue (
        id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, reference TEXT NOT NULL, digest TEXT NOT NULL,
        media_type TEXT NOT NULL, size INTEGER NOT NULL, queued_at REAL NOT NULL, failures INTEGER NOT NULL DEFAULT 0,
        next_at REAL NOT NULL DEFAULT 0, reason TEXT NOT NULL DEFAULT '', UNIQUE (name, reference));
    CREATE INDEX push_queue_digest ON push_queue (digest);
    CREATE TABLE upload_sessions (
        registry TEXT, name TEXT, digest TEXT, url TEXT NOT NULL, begun_at REAL NOT NULL,
        PRIMARY KEY (registry, name, digest)) WITHOUT ROWID;
    ALTER TABLE pins ADD COLUMN until REAL;
    """,
    """
    ALTER TABLE pins ADD COLUMN weak INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE pins ADD COLUMN pinned_at REAL NOT NULL DEFAULT 0;
    UPDATE pins SET weak = 1 WHERE reason LIKE 'pushed to % by digest' OR reason LIKE 'a copy for %';
    """,
    # `changes` counts what index.json follows from.
    """
    CREATE TABLE layout (changes INTEGER NOT NULL, published INTEGER NOT NULL, file TEXT NOT NULL);
    INSERT INTO layout VALUES (1, 0, '');
    CREATE TRIGGER tag_put AFTER INSERT ON tags BEGIN UPDATE layout SET changes = changes + 1; END;
    CREATE TRIGGER tag_moved AFTER UPDATE ON tags
        WHEN (new.digest, new.media_type, new.size) <> (old.digest, old.media_type, old.size)
        BEGIN UPDATE layout SET changes = changes + 1; END;
    CREATE TRIGGER tag_gone AFTER DELETE ON tags BEGIN UPDATE layout SET changes = changes + 1; END;
    CREATE TRIGGER blob_put AFTER INSERT ON blobs BEGIN UPDATE layout SET changes = changes + 1; END;
    CREATE TRIGGER blob_other AFTER UPDATE OF size ON blobs BEGIN UPDATE layout SET changes = changes + 1; END;
    CREATE TRIGGER blob_gone AFTER DELETE ON blobs BEGIN UPDATE layout SET changes = changes + 1; END;
    CREATE TRIGGER document_put AFTER INSERT ON documents BEGIN UPDATE layout SET changes = changes + 1; END;
    CREATE TRIGGER document_gone AFTER DELETE ON documents BEGIN UPDATE layout SET changes = changes + 1; END;
    CREATE TRIGGER child_put AFTER INSERT ON children BEGIN UPDATE layout SET changes = changes + 1; END;
    CREATE TRIGGER child_gone AFTER DELETE ON children BEGIN UPDATE layout SET changes = changes + 1; END;
    """,
)

Row = tuple[Any, ...]
Parameters = Sequence[object]


class Database:
    def __init__(self, path: Path) -> None:
        """Opens or creates, and migrates. Raises DiskError."""
        self._path = path
        self._write_lock = threading.RLock()
        self._read_lock = threading.Lock()
        with self._errors():
            self._writer = self._connect()
            try:
                use_write_ahead_log(self._writer)
                self._migrate()
                self._reader = self._connect()
                self._reader.execute("PRAGMA query_only = ON")
            except BaseException:
                self._writer.close()
                raise

    def rows(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """What a query finds, of what is committed. Raises DiskError."""
        with self._read_lock, self._errors():
            return self._reader.execute(sql, parameters).fetchall()

    def row(self, sql: str, parameters: Parameters = ()) -> Row | None:
        found = self.rows(sql, parameters)
        return found[0] if found else None

    def changes_elsewhere(self) -> int:
        """A number that is another one after another process has changed something (sqlite.org, data_version)."""
        with self._write_lock, self._errors():
            return int(self._writer.execute("PRAGMA data_version").fetchone()[0])

    @contextmanager
    def transaction(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """All or nothing, alone among writers. durable: with all before it, safe from a power cut. Raises DiskError."""
        with self._write_lock, self._errors(), self._synced(durable):
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:  # a full disk may have undone it already
                    self._writer.execute("ROLLBACK")
                raise

    @contextmanager
    def _synced(self, durable: bool) -> Iterator[None]:
        if not durable:
            yield
            return
        self._writer.execute("PRAGMA synchronous = FULL")
        try:
            yield
        finally:
            self._writer.execute("PRAGMA synchronous = NORMAL")

    def write_nowait(self, sql: str, many: Sequence[Parameters]) -> bool:
        """One statement with many parameters, unless another writer is at work: then nothing, and False."""
        if not self._write_lock.acquire(blocking=False):
            return False
        try:
            self._writer.execute("PRAGMA busy_timeout = 0")
            with self.transaction() as writer:
                writer.executemany(sql, many)
            return True
        except DiskError:
            return False
        finally:
            self._writer.execute(f"PRAGMA busy_timeout = {_BUSY_SECONDS * 1000:.0f}")
            self._write_lock.release()

    def close(self) -> None:
        with self._write_lock, self._read_lock, self._errors():
            self._reader.close()
            self._writer.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path,
            timeout=_BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=64,
        )
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection

    def _migrate(self) -> None:
        if self._version() == len(_MIGRATIONS):
            return
        with self.transaction() as writer:
            version = self._version()
            if version > len(_MIGRATIONS):
                raise DiskError(
                    f"{self._path} was made by a newer version (schema {version}; this one knows {len(_MIGRATIONS)})"
                )
            for statement in _statements("".join(_MIGRATIONS[version:])):
                writer.execute(statement)
            writer.execute(f"PRAGMA user_version = {len(_MIGRATIONS)}")

    def _version(self) -> int:
        return int(self._writer.execute("PRAGMA user_version").fetchone()[0])

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.ProgrammingError as error:
            if "closed database" not in str(error):
                raise
            raise DiskError(f"the store of {self._path.parent} is closed") from error
        except sqlite3.OperationalError as error:
            raise DiskError(f"the index {self._path} cannot be used now: {error}") from error
        except sqlite3.DatabaseError as error:
            raise DiskError(
                f"the index {self._path} is damaged ({error}); move it away, and one of what blobs/ holds is made anew"
            ) from error


def _statements(script: str) -> Iterator[str]:
    """A trigger has semicolons of its own."""
    statement = ""
    for piece in script.split(";"):
        statement += f"{piece};"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
