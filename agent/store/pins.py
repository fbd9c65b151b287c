"""`Pins`: what is kept from eviction though nothing else may need it, and why.

A pin has a reason, so that several may keep the same and each is taken back alone. It may end by itself (`until`). A
weak one is of a manifest that is known by its digest alone: it counts only as long as no other document names it, for
then that decides; and where the manifest refers to a subject that was here, as long as the subject is held (room.py).
"""

from dataclasses import dataclass

from agent.content.digest import Digest
from agent.store.database import Database

_PUT = """
    INSERT INTO pins (digest, reason, until, weak, pinned_at) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (digest, reason) DO UPDATE SET
        until = excluded.until, weak = excluded.weak, pinned_at = excluded.pinned_at
"""
_WEAK = """
    SELECT DISTINCT pins.digest, pushed.subject FROM pins
    LEFT JOIN pushed ON pushed.reference = pins.digest AND NOT pushed.deleted
    WHERE pins.weak AND NOT EXISTS (SELECT 1 FROM children WHERE children.child = pins.digest)
"""


@dataclass(frozen=True, slots=True)
class Pin:
    """pinned_at: seconds since the epoch."""

    digest: Digest
    reason: str
    pinned_at: float


class Pins:
    """Methods raise DiskError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(
        self, digest: Digest, reason: str, now: float, *, until: float | None = None, weak: bool = False
    ) -> None:
        with self._database.transaction() as writer:
            writer.execute("DELETE FROM pins WHERE until <= ?", (now,))
            writer.execute(_PUT, (str(digest), reason, until, weak, now))

    def remove(self, digest: Digest, reason: str) -> None:
        with self._database.transaction() as writer:
            writer.execute("DELETE FROM pins WHERE digest = ? AND reason = ?", (str(digest), reason))

    def sweep(self, now: float) -> None:
        """Remove those that have ended."""
        with self._database.transaction() as writer:
            writer.execute("DELETE FROM pins WHERE until <= ?", (now,))

    def strong(self, now: float) -> set[Digest]:
        rows = self._database.rows(
            "SELECT DISTINCT digest FROM pins WHERE NOT weak AND (until IS NULL OR until > ?)", (now,)
        )
        return {Digest.parse(row[0]) for row in rows}

    def weak(self) -> list[tuple[Digest, Digest | None]]:
        """Those that no document names, and their subjects."""
        rows = self._database.rows(_WEAK)
        return [(Digest.parse(row[0]), None if row[1] is None else Digest.parse(row[1])) for row in rows]

    def of_reason(self, reason: str) -> list[Pin]:
        rows = self._database.rows("SELECT digest, reason, pinned_at FROM pins WHERE reason = ?", (reason,))
        return [Pin(Digest.parse(row[0]), row[1], row[2]) for row in rows]

    def reasons(self, now: float) -> dict[Digest, list[str]]:
        """What is pinned, and for which reasons."""
        rows = self._database.rows(
            "SELECT digest, reason FROM pins WHERE until IS NULL OR until > ? ORDER BY digest, reason", (now,)
        )
        found: dict[Digest, list[str]] = {}
        for digest, reason in rows:
            found.setdefault(Digest.parse(digest), []).append(reason)
        return found
