"""`use_write_ahead_log`: WAL for a database that several processes may be making at the same moment."""

import sqlite3
import time

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
