"""`record_names`: what the cluster should know of the names that were given, moved or taken away on this node.

The store's tags are what people see here; `pushed` is what the cluster is told (agent/content/pushed.py). A command
changes the tags, alone or beside a running agent; afterwards the records are made to say the same. Invariant: a tag
that the cluster has moved since is not moved back, and a name that another node gave is not deleted for all when its
local copy goes.
"""

from agent.content.digest import Digest
from agent.content.document import MAX_PUSHED_DOCUMENT_BYTES, parse_document
from agent.content.pushed import PushedName
from agent.images.names import UNTAGGED
from agent.store.index import TagRecord
from agent.store.store import Store


def record_names(store: Store, writer: bytes, now: float) -> list[PushedName]:
    """`writer`: this node's id. What was recorded anew. Raises DiskError."""
    tags = [tag for tag in store.tags() if tag.repository.is_of_cluster and tag.repository != UNTAGGED]
    fresh = [name for tag in tags for name in _given(store, tag, writer, now)]
    there = {(tag.repository.name, tag.tag) for tag in tags}
    fresh += [
        _deleted(name, now)
        for name in store.pushed.all()
        if name.is_tag
        and not name.deleted
        and name.writer == writer
        and (name.repository, name.name) not in there
    ]
    if fresh:
        store.pushed.put(fresh)
    return fresh


def _given(store: Store, tag: TagRecord, writer: bytes, now: float) -> list[PushedName]:
    known = store.pushed.find(tag.repository.name, tag.tag)
    digest = tag.descriptor.digest
    if known is not None and (known.at >= tag.checked_at or (known.digest == digest and not known.deleted)):
        return []
    name = PushedName(
        tag.repository.name,
        tag.tag,
        digest,
        tag.descriptor.size,
        tag.descriptor.media_type,
        None,
        now,
        writer,
    )
    return [*_documents(store, tag.repository.name, digest, writer, now), name]


def _documents(store: Store, repository: str, digest: Digest, writer: bytes, now: float) -> list[PushedName]:
    """The manifests that are here, by digest: without it they cannot be asked for elsewhere."""
    body = store.read(digest, MAX_PUSHED_DOCUMENT_BYTES)
    if body is None:
        return []
    document = parse_document(body, limit_bytes=MAX_PUSHED_DOCUMENT_BYTES)
    subject = None if document.subject is None else document.subject.digest
    below = [
        record
        for child in document.manifests
        for record in _documents(store, repository, child.digest, writer, now)
    ]
    known = store.pushed.find(repository, str(digest))
    if known is not None and not known.deleted:
        return below
    own = PushedName(repository, str(digest), digest, len(body), document.media_type, subject, now, writer)
    return [*below, own]


def _deleted(name: PushedName, now: float) -> PushedName:
    what = (name.digest, name.size, name.media_type, name.subject)
    return PushedName(name.repository, name.name, *what, max(now, name.at + 1e-6), name.writer, deleted=True)
