"""`LocalCache`: results of steps that this node made or fetched, in one SQLite file beside the store.

Invariant: a result whose layer is in the store no more is no result. So the store's rules decide what stays: a layer
that nothing else names goes when room is needed or when it was idle for long, and its results with it. Several
builds use it at once. A damaged file is made anew: steps are carried out again, and no more is lost.
"""

import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from agent.content.errors import ContentError, DiskError
from agent.store.store import Store
from agent.store.write_ahead_log import is_damage, remove_database, use_write_ahead_log
from builder.cache.record import CachedResult, parse_result

_WAIT_SECONDS = 10.0
_TOUCH_SECONDS = 60.0  # a use is noted so often: a build of which everything is known writes nothing
_ANY_OF = "key IN (SELECT value FROM json_each(?))"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS results (
    key TEXT PRIMARY KEY, result TEXT NOT NULL, shareable INTEGER NOT NULL, used_at REAL NOT NULL
) WITHOUT ROWID;
"""


class LocalCache:
    def __init__(self, path: Path, store: Store, now: Callable[[], float] = time.time) -> None:
        """Raises DiskError."""
        self._store = store
        self._now = now
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._database = _opened(path)
            except sqlite3.DatabaseError as error:
                if not is_damage(error):
                    raise
                remove_database(path)
                self._database = _opened(path)
        except (OSError, sqlite3.Error) as error:
            raise self._failed(error) from None

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> "LocalCache":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def find(self, key: str) -> CachedResult | None:
        """Its layer is in the store. Raises DiskError."""
        return self.find_all([key]).get(key)

    def find_all(self, keys: Sequence[str]) -> dict[str, CachedResult]:
        """What is known under each; the layers are in the store. Raises DiskError."""
        now = self._now()
        try:
            asked = f"SELECT key, result, used_at FROM results WHERE {_ANY_OF}"
            rows = self._database.execute(asked, (json.dumps(keys),)).fetchall()
            known = {key: one for key, text, _ in rows if (one := self._whole(text)) is not None}
            if gone := [key for key, _, _ in rows if key not in known]:
                self._database.execute(f"DELETE FROM results WHERE {_ANY_OF}", (json.dumps(gone),))
            if used := [key for key, _, at in rows if not 0 <= now - at < _TOUCH_SECONDS]:
                self._database.execute(
                    f"UPDATE results SET used_at = ? WHERE {_ANY_OF}", (now, json.dumps(used))
                )
        except sqlite3.Error as error:
            raise self._failed(error) from None
        return known

    def put(self, results: Iterable[CachedResult], *, shareable: bool) -> None:
        """The layers are in the store. shareable: others of the cluster may be told. Raises DiskError."""
        rows = [(one.key, json.dumps(one.as_json()), int(shareable), self._now()) for one in results]
        try:
            self._database.executemany("INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?)", rows)
        except sqlite3.Error as error:
            raise self._failed(error) from None

    def forget(self, idle_seconds: float) -> int:
        """Results that nobody used for so long; how many. Raises DiskError."""
        try:
            gone = self._database.execute(
                "DELETE FROM results WHERE used_at <= ?", (self._now() - idle_seconds,)
            )
        except sqlite3.Error as error:
            raise self._failed(error) from None
        return gone.rowcount

    def _whole(self, text: str) -> CachedResult | None:
        try:
            found = parse_result(json.loads(text))
        except (ValueError, ContentError):
            return None
        layer = found.layer
        if layer is not None and self._store.size_of(layer.blob.digest) != layer.blob.size:
            return None
        return found

    def _failed(self, error: Exception) -> DiskError:
        if is_damage(error):
            remove_database(self._path)
            return DiskError(
                f"the build cache {self._path} is damaged ({error}) and was removed: build again"
            )
        return DiskError(f"cannot use the build cache {self._path}: {error}")


def _opened(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        use_write_ahead_log(database)
        database.execute("PRAGMA synchronous = NORMAL")
        database.executescript(_SCHEMA)
    except sqlite3.Error:
        database.close()
        raise
    return database
