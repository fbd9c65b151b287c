"""`Removal`: an image goes: what its repository knew of it, and those of its blobs that nothing else needs.

Invariant, under the layout lock that holding a blob takes too: a blob that any known document, tag, pin, running pull
or build needs, of whatever repository, stays. What a repository no longer links is no longer told under its name.
"""

from collections.abc import Callable

from agent.content.digest import Digest
from agent.content.reference import Repository
from agent.store.blob_index import BlobIndex
from agent.store.blobs import Blobs
from agent.store.database import Database
from agent.store.index import ImageIndex

_ORPHANS = "digest NOT IN (SELECT digest FROM links WHERE is_document)"


class Removal:
    def __init__(
        self,
        database: Database,
        images: ImageIndex,
        records: BlobIndex,
        blobs: Blobs,
        held: Callable[[], set[Digest]],
    ) -> None:
        """`held`: by tags, pins, running pulls and builds."""
        self._database = database
        self._images = images
        self._records = records
        self._blobs = blobs
        self._held = held

    def remove(self, repository: Repository, root: Digest) -> dict[Digest, int]:
        """Forget the document `root`, under no tag of `repository`, there; the blobs that went with it, and their
        sizes. Raises DiskError."""
        with self._blobs.lock.held():
            graph = self._images.graph(self._records.sizes())
            beneath = graph.closure([root])
            self._unlink(repository, beneath, graph.closure(self._others(repository, beneath)))
            documents = {one.digest for one in self._images.documents()}
            needed = graph.closure(documents | self._held())
            gone = {digest: graph.present[digest] for digest in beneath - needed if digest in graph.present}
            self._blobs.remove(gone)
            return gone

    def remove_loose(self, used_before: float) -> dict[Digest, int]:
        """Blobs that nobody knows, needs or has used since then: what a killed load or push left. Those and their
        sizes. Raises DiskError."""
        with self._blobs.lock.held():
            graph, uses = self._images.graph(self._records.sizes()), self._records.last_uses()
            held = graph.closure(self._held())
            gone = {
                digest: size
                for digest, size in graph.present.items()
                if uses.get(digest, 0.0) < used_before
                and digest not in held
                and self._images.is_loose(digest)
            }
            self._blobs.remove(gone)
            return gone

    def _others(self, repository: Repository, beneath: set[Digest]) -> set[Digest]:
        """What else the repository has, above or beside."""
        tags = {tag.descriptor.digest for tag in self._images.tags() if tag.repository == repository}
        documents = {one.digest for one in self._images.documents() if one.repository == repository}
        return tags | (documents - beneath)

    def _unlink(self, repository: Repository, beneath: set[Digest], kept: set[Digest]) -> None:
        where = (repository.registry, repository.name)
        rows = [(*where, str(digest)) for digest in beneath - kept]
        with self._database.transaction() as writer:
            writer.executemany("DELETE FROM links WHERE registry = ? AND name = ? AND digest = ?", rows)
            writer.execute(f"DELETE FROM documents WHERE {_ORPHANS}")
            writer.execute(f"DELETE FROM children WHERE {_ORPHANS.replace('digest NOT', 'parent NOT')}")
