"""`LocalNames`: images that commands beside the agent have named in its store (loaded, tagged, built) become known to
the cluster, as if they had been pushed here.

Commands work on the store without the agent; it looks what they left every few seconds, and whenever it is asked for
such a name. Taking a name away here (`rmi`) is no delete for the cluster.
"""

from collections.abc import Iterable

import trio

from agent.content.digest import Digest
from agent.content.document import MAX_PUSHED_DOCUMENT_BYTES, parse_document
from agent.content.errors import ContentError, DiskError
from agent.content.pushed import PushedName
from agent.content.reference import Repository
from agent.node.all_of import all_of
from agent.node.cluster_names import ClusterNames
from agent.node.hop import Hop
from agent.node.tracker_session import TrackerSession
from agent.store.store import Store
from agent.telemetry.logs import get_log
from agent.wire.tracker_calls import SwarmReport

_LOOK_SECONDS = 2.0

_log = get_log("shoal.push")


class LocalNames:
    def __init__(self, store: Store, names: ClusterNames, tracker: TrackerSession, hop: Hop) -> None:
        self._store = store
        self._names = names
        self._tracker = tracker
        self._hop = hop

    async def run(self) -> None:
        seen = None
        while True:
            try:
                changes = await self._hop(self._store.pushed.changes_elsewhere)
                if changes != seen:
                    await self.publish_new()
                    seen = changes
            except DiskError as error:
                _log.warning("names cannot be looked at", reason=str(error))
            await trio.sleep(_LOOK_SECONDS)

    async def publish_if_new(self, repository: Repository, tag: str) -> None:
        """Raises DiskError."""
        named, known = self._store.find_tag(repository, tag), self._store.pushed.find(repository.name, tag)
        if named is None:
            return
        if known is None or (
            named.checked_at > known.at and (known.deleted or known.digest != named.descriptor.digest)
        ):
            await self.publish_new()

    async def publish_new(self) -> None:
        """Raises DiskError."""
        while tags := await self._hop(self._store.pushed.unpublished):
            for tag in tags:
                for part in await self._hop(all_of, self._store, tag.descriptor):
                    self._tracker.tell(SwarmReport(part.digest, part.size, complete=True))
                await self._names.publish(await self._hop(self._with_digest, tag))

    def _with_digest(self, tag: PushedName) -> Iterable[PushedName]:
        """The tag, and the manifest under its digest."""
        subject: Digest | None = None
        try:
            body = self._store.read(tag.digest, MAX_PUSHED_DOCUMENT_BYTES)
            document = None if body is None else parse_document(body, None, MAX_PUSHED_DOCUMENT_BYTES)
            subject = document.subject.digest if document and document.subject else None
        except ContentError:
            pass
        what = (tag.digest, tag.size, tag.media_type)
        return [PushedName(tag.repository, str(tag.digest), *what, subject, 0.0, b""), tag]
