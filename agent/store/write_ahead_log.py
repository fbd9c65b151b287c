"""`use_write_ahead_log`: WAL for a database that several processes may be making at the same moment; and the removal of
one that is damaged, where it can be made again."""

import sqlite3
import time
from pathlib import Path

_BUSY_SECONDS = 30.0
_REST_SECONDS = 0.005


def use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """SQLite waits for other writers, but for one that is switching to WAL, too, it does not: two that did would wait
    for each other. So it is tried again. Raises sqlite3.OperationalError."""
    until = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(_REST_SECONDS)
        else:
            return


def is_damage(error: Exception) -> bool:
    """Whether the file is no database, or a broken one; all else has kinds of its own."""
    return type(error) is sqlite3.DatabaseError


def remove_database(path: Path) -> None:
    """Raises OSError."""
    for part in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + part).unlink(missing_ok=True)
