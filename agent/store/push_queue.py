"""`PushQueue`: pushes to this cluster that are to go on to a registry, until they have.

Invariant: one row a name (a tag, or a manifest's digest), of what it stood for last: a later push of a tag takes the
place of an earlier one, in a row of its own, so that whoever works on the earlier one does not take away the later.
What stands here is held from eviction (room.py).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from agent.content.digest import Digest
from agent.content.document import Descriptor
from agent.content.pushed import PushedName
from agent.store.database import Database

_COLUMNS = "id, name, reference, digest, media_type, size, queued_at, failures, next_at, reason"
_PUT = """
    INSERT OR REPLACE INTO push_queue (name, reference, digest, media_type, size, queued_at) VALUES (?, ?, ?, ?, ?, ?)
"""


@dataclass(frozen=True, slots=True)
class QueuedPush:
    """`repository`: a name of the cluster's own; `reference`: a tag, or a digest as text. next_at: seconds since the
    epoch, before which it is not tried again; `reason`: of the last of its `failures` in a row."""

    id: int
    repository: str
    reference: str
    root: Descriptor
    queued_at: float
    failures: int = 0
    next_at: float = 0.0
    reason: str = ""


class PushQueue:
    """Methods raise DiskError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, names: Iterable[PushedName], now: float) -> None:
        """At its end, in the place of what stood there of the same names. Safe from a power cut with the next durable
        transaction."""
        rows = [(one.repository, one.name, str(one.digest), one.media_type, one.size, now) for one in names]
        with self._database.transaction() as writer:
            writer.executemany(_PUT, rows)

    def drop(self, names: Iterable[PushedName]) -> None:
        """They were deleted, or are another node's push now."""
        with self._database.transaction() as writer:
            rows = [(one.repository, one.name) for one in names]
            writer.executemany("DELETE FROM push_queue WHERE name = ? AND reference = ?", rows)

    def all(self) -> list[QueuedPush]:
        """In the order in which they came."""
        return [_queued(row) for row in self._database.rows(f"SELECT {_COLUMNS} FROM push_queue ORDER BY id")]

    def is_queued(self, queued: QueuedPush) -> bool:
        """Has nothing taken its place?"""
        return bool(self._database.rows("SELECT 1 FROM push_queue WHERE id = ?", (queued.id,)))

    def done(self, queued: QueuedPush) -> None:
        with self._database.transaction(durable=True) as writer:
            writer.execute("DELETE FROM push_queue WHERE id = ?", (queued.id,))

    def failed(self, queued: QueuedPush, next_at: float, reason: str) -> None:
        with self._database.transaction() as writer:
            writer.execute(
                "UPDATE push_queue SET failures = failures + 1, next_at = ?, reason = ? WHERE id = ?",
                (next_at, reason, queued.id),
            )

    def digests(self) -> set[Digest]:
        return {Digest.parse(row[0]) for row in self._database.rows("SELECT digest FROM push_queue")}


def _queued(row: tuple[Any, ...]) -> QueuedPush:
    root = Descriptor(row[4], Digest.parse(row[3]), row[5])
    return QueuedPush(row[0], row[1], row[2], root, *row[6:])
