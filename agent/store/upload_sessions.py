"""`UploadSessions`: where uploads to registries go on that broke off, for whoever pushes the same blob there next.

A registry forgets a session after some days; so does this.
"""

from collections.abc import Callable

from agent.content.digest import Digest
from agent.content.reference import Repository
from agent.store.database import Database

_KEPT_SECONDS = 7 * 24 * 3600.0


class UploadSessions:
    """Methods raise DiskError."""

    def __init__(self, database: Database, now: Callable[[], float]) -> None:
        self._database = database
        self._now = now

    def find(self, repository: Repository, digest: Digest) -> str | None:
        row = self._database.row(
            "SELECT url FROM upload_sessions WHERE registry = ? AND name = ? AND digest = ? AND begun_at > ?",
            (*_key(repository, digest), self._now() - _KEPT_SECONDS),
        )
        return None if row is None else str(row[0])

    def keep(self, repository: Repository, digest: Digest, url: str) -> None:
        with self._database.transaction() as writer:
            writer.execute("DELETE FROM upload_sessions WHERE begun_at <= ?", (self._now() - _KEPT_SECONDS,))
            writer.execute(
                "INSERT OR REPLACE INTO upload_sessions VALUES (?, ?, ?, ?, ?)",
                (*_key(repository, digest), url, self._now()),
            )

    def forget(self, repository: Repository, digest: Digest) -> None:
        with self._database.transaction() as writer:
            writer.execute(
                "DELETE FROM upload_sessions WHERE registry = ? AND name = ? AND digest = ?",
                _key(repository, digest),
            )


def _key(repository: Repository, digest: Digest) -> tuple[str, str, str]:
    return repository.registry, repository.name, str(digest)
