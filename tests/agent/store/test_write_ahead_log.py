"""A database that two processes make at the same moment."""

import sqlite3
from pathlib import Path
from typing import Any

from agent.store.write_ahead_log import use_write_ahead_log


def test_who_meets_another_one_at_work_tries_again(tmp_path: Path) -> None:
    """Where both switch, SQLite gives up at once, however long it is told to wait."""
    file = tmp_path / "x.db"
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    other.execute("CREATE TABLE a (b)")

    class Ours(sqlite3.Connection):
        refusals = 0

        def execute(self, *arguments: Any) -> sqlite3.Cursor:
            try:
                return super().execute(*arguments)
            except sqlite3.OperationalError:
                self.refusals += 1
                other.execute("COMMIT")
                raise

    ours = sqlite3.connect(file, timeout=0, isolation_level=None, factory=Ours)
    use_write_ahead_log(ours)
    assert ours.refusals == 1
    assert ours.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    ours.close()
    other.close()
