"""`all_of`: a manifest or index with everything that it needs, as far as it is in this store."""

from agent.content import media_types
from agent.content.document import MAX_PUSHED_DOCUMENT_BYTES, Descriptor, parse_document
from agent.content.errors import ContentError
from agent.store.store import Store
from agent.wire.push_calls import MAX_NEEDED

MAX_PARTS = MAX_NEEDED


def all_of(store: Store, root: Descriptor) -> list[Descriptor]:
    """`root` first, at most MAX_PARTS. Raises DiskError."""
    found: dict[Descriptor, None] = {}
    waiting = [root]
    while waiting and len(found) < MAX_PARTS:
        one = waiting.pop()
        if one in found or store.size_of(one.digest) is None:
            continue
        found[one] = None
        if one.media_type in media_types.DOCUMENTS:
            waiting += _children(store, one)
    return list(found)


def _children(store: Store, document: Descriptor) -> tuple[Descriptor, ...]:
    try:
        body = store.read(document.digest, MAX_PUSHED_DOCUMENT_BYTES)
        return () if body is None else parse_document(body, None, MAX_PUSHED_DOCUMENT_BYTES).children
    except ContentError:
        return ()
