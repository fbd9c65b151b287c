"""`PushedNames`: what this node knows of the names of the cluster's own images, deleted ones included.

Invariant: of two records of one name the one with the greater stamp is kept (agent.content.pushed). A record is on the
disk, fsynced, when `put` returns: a push is acknowledged on its strength.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from agent.content.digest import Digest
from agent.content.pushed import PushedName
from agent.content.reference import CLUSTER_REGISTRY
from agent.store.database import Database

_COLUMNS = "name, reference, digest, size, media_type, subject, at, writer, deleted"
_PUT = f"""
    INSERT INTO pushed ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (name, reference) DO UPDATE SET digest = excluded.digest, size = excluded.size,
        media_type = excluded.media_type, subject = excluded.subject, at = excluded.at, writer = excluded.writer,
        deleted = excluded.deleted WHERE (excluded.at, excluded.writer) > (at, writer)
"""
_UNPUBLISHED = """
    SELECT tags.name, tags.tag, tags.digest, tags.size, tags.media_type FROM tags
    LEFT JOIN pushed ON pushed.name = tags.name AND pushed.reference = tags.tag
    WHERE tags.registry = ? AND (pushed.at IS NULL OR (
        tags.checked_at > pushed.at AND (pushed.deleted OR pushed.digest <> tags.digest)))
    LIMIT ?
"""
_UNNAMED = """
    writer = ? AND NOT deleted AND NOT EXISTS (
        SELECT 1 FROM tags WHERE tags.registry = ? AND tags.name = pushed.name AND tags.tag = pushed.reference)
"""


class PushedNames:
    """Methods raise DiskError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, names: Iterable[PushedName]) -> None:
        """Keep those that are newer than what is known."""
        rows = [_row(name) for name in names]
        with self._database.transaction(durable=True) as writer:
            writer.executemany(_PUT, rows)

    def find(self, repository: str, name: str) -> PushedName | None:
        """It may be one that was deleted."""
        return next(self._found("name = ? AND reference = ?", repository, name), None)

    def in_repository(self, repository: str) -> list[PushedName]:
        return list(self._found("name = ?", repository))

    def referrers(self, repository: str, subject: Digest) -> list[PushedName]:
        """Manifests that are there and name `subject`."""
        wanted = "name = ? AND subject = ? AND NOT deleted ORDER BY reference"
        return list(self._found(wanted, repository, str(subject)))

    def changed_since(self, repository: str, since: float) -> bool:
        """Was anything pushed to it or deleted from it from then on?"""
        return next(self._found("name = ? AND at >= ?", repository, since), None) is not None

    def repositories(self) -> list[str]:
        rows = self._database.rows("SELECT DISTINCT name FROM pushed WHERE NOT deleted")
        return [str(row[0]) for row in rows]

    def has_any(self) -> bool:
        return bool(self._database.rows("SELECT 1 FROM pushed LIMIT 1"))

    def all(self) -> list[PushedName]:
        return list(self._found("1"))

    def changes_elsewhere(self) -> int:
        """A number that is another one after another process has changed the index."""
        return self._database.changes_elsewhere()

    def unnamed(self, writer: bytes) -> list[PushedName]:
        """Of the tags that `writer` gave, those that are not in the index any more."""
        return [name for name in self._found(_UNNAMED, writer, CLUSTER_REGISTRY) if name.is_tag]

    def unpublished(self, limit: int = 1000) -> list[PushedName]:
        """Tags of the cluster's own images that point, by the index, where no record says so yet. limit: -1 for all."""
        rows = self._database.rows(_UNPUBLISHED, (CLUSTER_REGISTRY, limit))
        return [
            PushedName(row[0], row[1], Digest.parse(row[2]), row[3], row[4], None, 0.0, b"") for row in rows
        ]

    def forget_deleted(self, before: float) -> None:
        """What was deleted so long ago that nobody will bring it back."""
        if self._database.rows("SELECT 1 FROM pushed WHERE deleted AND at < ? LIMIT 1", (before,)):
            with self._database.transaction() as writer:
                writer.execute("DELETE FROM pushed WHERE deleted AND at < ?", (before,))

    def _found(self, condition: str, *parameters: object) -> Iterator[PushedName]:
        rows = self._database.rows(f"SELECT {_COLUMNS} FROM pushed WHERE {condition}", parameters)
        return map(_name, rows)


def _row(name: PushedName) -> tuple[Any, ...]:
    subject = None if name.subject is None else str(name.subject)
    what = (name.repository, name.name, str(name.digest), name.size, name.media_type, subject)
    return (*what, name.at, name.writer, int(name.deleted))


def _name(row: tuple[Any, ...]) -> PushedName:
    subject = None if row[5] is None else Digest.parse(row[5])
    return PushedName(
        row[0], row[1], Digest.parse(row[2]), row[3], row[4], subject, row[6], row[7], bool(row[8])
    )
