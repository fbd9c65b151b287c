"""`record_names`: what the cluster should know of the names that were given, moved or taken away on this node.

The store's tags are what people see here; `pushed` is what the cluster is told (agent/content/pushed.py). A command
changes the tags, alone or beside a running agent; afterwards the records are made to say the same. Invariant: a tag
that the cluster has moved since is not moved back, and a name that another node gave is not deleted for all when its
local copy goes.
"""

from dataclasses import replace

from agent.content.digest import Digest
from agent.content.document import MAX_PUSHED_DOCUMENT_BYTES, parse_document
from agent.content.pushed import PushedName
from agent.images.names import UNTAGGED
from agent.store.store import Store


def record_names(store: Store, writer: bytes, now: float) -> list[PushedName]:
    """`writer`: this node's id. What was recorded anew. Raises DiskError."""
    given = [tag for tag in store.pushed.unpublished(limit=-1) if tag.repository != UNTAGGED.name]
    fresh = [name for tag in given for name in _given(store, tag, writer, now)]
    fresh += [_deleted(name, now) for name in store.pushed.unnamed(writer)]
    if fresh:
        store.pushed.put(fresh)
    return fresh


def _given(store: Store, tag: PushedName, writer: bytes, now: float) -> list[PushedName]:
    return [*_documents(store, tag.repository, tag.digest, writer, now), replace(tag, at=now, writer=writer)]


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
