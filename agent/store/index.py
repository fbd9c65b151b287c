"""`ImageIndex`: which repository knows what: tags, documents and what they need.

Knowing is not having: rows here stay when a blob is evicted, and say nothing about bytes (blob_index.py, and the files,
do). What a document needs follows from its bytes and holds everywhere; who may read what is by (repository, digest).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from agent.content.digest import Digest
from agent.content.document import Descriptor
from agent.content.reference import Repository
from agent.store.content_graph import Child, ContentGraph
from agent.store.database import Database

_PUT_TAG = """
    INSERT INTO tags VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
    ON CONFLICT (registry, name, tag) DO UPDATE SET
        digest = excluded.digest, media_type = excluded.media_type, size = excluded.size,
        checked_at = excluded.checked_at, pulled_at = iif(digest = excluded.digest, pulled_at, excluded.pulled_at)
"""
# What a document says of itself outweighs what another said of it.
_PUT_LINK = """
    INSERT INTO links VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (registry, name, digest) DO UPDATE SET media_type = excluded.media_type, size = excluded.size,
        is_document = excluded.is_document WHERE excluded.is_document >= is_document
"""
_TAGGED_ANCESTOR = """
    WITH RECURSIVE above (digest) AS (
        SELECT ? UNION SELECT parent FROM children JOIN above ON children.child = above.digest)
    SELECT 1 FROM above JOIN tags USING (digest) LIMIT 1
"""
# The content itself or a document that names it, with nothing it names missing.
_COMPLETED = """
    SELECT 1 FROM (SELECT ?1 AS digest UNION SELECT parent FROM children WHERE child = ?1) AS candidate
    WHERE NOT EXISTS (SELECT 1 FROM children LEFT JOIN blobs ON blobs.digest = children.child
                      WHERE children.parent = candidate.digest AND blobs.digest IS NULL) LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class TagRecord:
    """checked_at, pulled_at: seconds since the epoch; last confirmed by its registry, and first seen pointing here."""

    repository: Repository
    tag: str
    descriptor: Descriptor
    checked_at: float
    pulled_at: float


@dataclass(frozen=True, slots=True)
class DocumentRecord:
    """A manifest or an index as one repository knows it."""

    repository: Repository
    digest: Digest
    media_type: str
    size: int
    linked_at: float


class ImageIndex:
    """Methods raise DiskError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- tags ---------------------------------------------------------------------------------------------------

    def put_tag(
        self,
        repository: Repository,
        tag: str,
        descriptor: Descriptor,
        checked_at: float,
        now: float,
    ) -> bool:
        """True where the tag is new or points elsewhere now."""
        key = (repository.registry, repository.name, tag)
        target = (str(descriptor.digest), descriptor.media_type, descriptor.size)
        with self._database.transaction() as writer:
            known = writer.execute(
                "SELECT digest, media_type, size FROM tags WHERE registry = ? AND name = ? AND tag = ?", key
            ).fetchone()
            writer.execute(_PUT_TAG, (*key, *target, checked_at, now))
        return bool(known != target)

    def find_tag(self, repository: Repository, tag: str) -> TagRecord | None:
        row = self._database.row(
            "SELECT digest, media_type, size, checked_at, pulled_at FROM tags"
            " WHERE registry = ? AND name = ? AND tag = ?",
            (repository.registry, repository.name, tag),
        )
        if row is None:
            return None
        return TagRecord(repository, tag, Descriptor(row[1], Digest.parse(row[0]), row[2]), row[3], row[4])

    def is_tagged(self, repository: Repository, digest: Digest) -> bool:
        key = (repository.registry, repository.name, str(digest))
        return bool(
            self._database.rows("SELECT 1 FROM tags WHERE registry = ? AND name = ? AND digest = ?", key)
        )

    def remove_tag(self, repository: Repository, tag: str) -> bool:
        with self._database.transaction() as writer:
            key = (repository.registry, repository.name, tag)
            done = writer.execute("DELETE FROM tags WHERE registry = ? AND name = ? AND tag = ?", key)
            return done.rowcount > 0

    def tags(self) -> list[TagRecord]:
        rows = self._database.rows(
            "SELECT registry, name, tag, digest, media_type, size, checked_at, pulled_at FROM tags"
        )
        return [
            TagRecord(
                Repository(row[0], row[1]), row[2], Descriptor(row[4], Digest.parse(row[3]), row[5]), *row[6:]
            )
            for row in rows
        ]

    # --- documents and links ------------------------------------------------------------------------------------

    def put_document(
        self, repository: Repository, descriptor: Descriptor, children: Iterable[Descriptor], now: float
    ) -> bool:
        """True where no repository knew it before. What it needs follows from its bytes and is written once."""
        below = list(children)
        where, parent = (repository.registry, repository.name), str(descriptor.digest)
        links = [(*where, str(one.digest), one.media_type, one.size, 0, now) for one in below]
        with self._database.transaction() as writer:
            writer.execute(_PUT_LINK, (*where, parent, descriptor.media_type, descriptor.size, 1, now))
            writer.executemany(_PUT_LINK, links)
            is_new = writer.execute("INSERT OR IGNORE INTO documents VALUES (?)", (parent,)).rowcount > 0
            if is_new:
                writer.executemany("INSERT INTO children VALUES (?, ?, ?, ?, ?, ?)", _edges(parent, below))
        return is_new

    def media_type_of(self, repository: Repository, digest: Digest) -> str | None:
        row = self._database.row(
            "SELECT media_type FROM links WHERE registry = ? AND name = ? AND digest = ? AND is_document",
            (repository.registry, repository.name, str(digest)),
        )
        return None if row is None else str(row[0])

    def is_linked(self, repository: Repository, digest: Digest) -> bool:
        key = (repository.registry, repository.name, str(digest))
        return bool(
            self._database.rows("SELECT 1 FROM links WHERE registry = ? AND name = ? AND digest = ?", key)
        )

    def link(self, repository: Repository, descriptor: Descriptor, now: float) -> None:
        """Content that no document names yet is known under this repository. Survives a power cut."""
        where = (repository.registry, repository.name)
        row = (*where, str(descriptor.digest), descriptor.media_type, descriptor.size, 0, now)
        with self._database.transaction(durable=True) as writer:
            writer.execute(_PUT_LINK, row)

    def unlink(self, repository: Repository, digest: Digest) -> bool:
        """It is known under this repository no more. True where it was. Survives a power cut."""
        key = (repository.registry, repository.name, str(digest))
        with self._database.transaction(durable=True) as writer:
            done = writer.execute("DELETE FROM links WHERE registry = ? AND name = ? AND digest = ?", key)
            return done.rowcount > 0

    def linked_since(self, registry: str, since: float) -> set[Digest]:
        """What became known under any of the registry's repositories from then on."""
        rows = self._database.rows(
            "SELECT DISTINCT digest FROM links WHERE registry = ? AND linked_at >= ?", (registry, since)
        )
        return {Digest.parse(row[0]) for row in rows}

    def is_loose(self, digest: Digest) -> bool:
        """No repository knows it, no document names it, no tag points to it, no pin keeps it, no registry waits for
        it."""
        row = self._database.row(
            "SELECT EXISTS (SELECT 1 FROM links WHERE digest = ?1) OR EXISTS (SELECT 1 FROM children WHERE child = ?1)"
            " OR EXISTS (SELECT 1 FROM tags WHERE digest = ?1) OR EXISTS (SELECT 1 FROM pins WHERE digest = ?1)"
            " OR EXISTS (SELECT 1 FROM push_queue WHERE digest = ?1)",
            (str(digest),),
        )
        return row is not None and not row[0]

    def knows(self, repository: Repository) -> bool:
        """Is anything known under this repository?"""
        key = (repository.registry, repository.name)
        return bool(self._database.rows("SELECT 1 FROM links WHERE registry = ? AND name = ? LIMIT 1", key))

    def linked_size(self, digest: Digest) -> int | None:
        """The size most descriptors give; of equals the one told last."""
        row = self._database.row(
            "SELECT size FROM links WHERE digest = ? GROUP BY size ORDER BY count(*) DESC, max(linked_at) DESC LIMIT 1",
            (str(digest),),
        )
        return None if row is None else int(row[0])

    def repositories_of(self, digest: Digest) -> list[Repository]:
        rows = self._database.rows(
            "SELECT registry, name FROM links WHERE digest = ? ORDER BY linked_at DESC, registry, name",
            (str(digest),),
        )
        return [Repository(*row) for row in rows]

    def documents(self) -> list[DocumentRecord]:
        rows = self._database.rows(
            "SELECT registry, name, digest, media_type, size, linked_at FROM links WHERE is_document"
        )
        return [DocumentRecord(Repository(row[0], row[1]), Digest.parse(row[2]), *row[3:]) for row in rows]

    # --- what needs what ----------------------------------------------------------------------------------------

    def may_complete_a_tag(self, digest: Digest) -> bool:
        """Now that `digest` is here: can it have been the last that a tagged image lacked? Cheap, and never wrongly no:
        a layer in the middle of a pull does not cost a look at every image."""
        key = (str(digest),)
        return bool(self._database.rows(_COMPLETED, key)) and bool(self._database.rows(_TAGGED_ANCESTOR, key))

    # --- index.json ---------------------------------------------------------------------------------------------

    def layout_changes(self) -> int:
        """How often something has changed that index.json follows from; asked before it is read."""
        row = self._database.row("SELECT changes FROM layout")
        return row[0] if row else 0

    def is_layout_current(self, file: str) -> bool:
        """Nothing has changed since index.json was written, which is still the `file` that it was then."""
        return bool(
            self._database.row("SELECT 1 FROM layout WHERE changes = published AND file = ?", (file,))
        )

    def note_layout(self, changes: int, file: str) -> None:
        with self._database.transaction() as writer:
            writer.execute("UPDATE layout SET published = ?, file = ?", (changes, file))

    # --- what needs what, all of it -----------------------------------------------------------------------------

    def graph(self, present: dict[Digest, int]) -> ContentGraph:
        found: dict[Digest, list[Child]] = {
            Digest.parse(row[0]): [] for row in self._database.rows("SELECT digest FROM documents")
        }
        edges = self._database.rows(
            "SELECT parent, child, media_type, size, platform FROM children ORDER BY parent, position"
        )
        for parent, child, *rest in edges:
            found.setdefault(Digest.parse(parent), []).append(Child(Digest.parse(child), *rest))
        return ContentGraph(present, {digest: tuple(below) for digest, below in found.items()})


def _edges(parent: str, below: list[Descriptor]) -> list[tuple[object, ...]]:
    return [
        (parent, position, str(one.digest), one.media_type, one.size, one.platform and str(one.platform))
        for position, one in enumerate(below)
    ]
