"""`keep_image`: an image that came into being here gets its name in the store, and stays until it is removed.

Invariant: its blobs are here and verified when this is called, and held. No registry may have it to be fetched from
again, whatever its name says, so it is pinned against eviction.
"""

from agent.content.document import MAX_PUSHED_DOCUMENT_BYTES, Descriptor, parse_document
from agent.content.errors import ContentError
from agent.content.reference import Reference, Repository
from agent.images.local_image import LocalImage
from agent.images.names import UNTAGGED
from agent.store.store import Store

LOCAL_PIN = "made here"
USER_PIN = "pinned"


def keep_image(store: Store, root: Descriptor, name: Reference | None, now: float) -> None:
    """`name` None: under no name. Raises DiskError, ContentError where it cannot be read."""
    repository = UNTAGGED if name is None else name.repository
    link_documents(store, repository, root)
    store.pin(root.digest, LOCAL_PIN)
    if name is not None and name.tag is not None:
        store.put_tag(repository, name.tag, root, now)


def link_documents(store: Store, repository: Repository, root: Descriptor) -> None:
    """All of it is known under `repository`: what can be read there depends on it."""
    body = store.read(root.digest, MAX_PUSHED_DOCUMENT_BYTES)
    if body is None:
        raise ContentError(f"{root.digest} is not in the store")
    document = parse_document(body, limit_bytes=MAX_PUSHED_DOCUMENT_BYTES)
    store.put_document(repository, Descriptor(document.media_type, root.digest, len(body)), document.children)
    for child in document.manifests:
        if store.size_of(child.digest) is not None:
            link_documents(store, repository, child)


def tag_image(store: Store, image: LocalImage, name: Reference, now: float) -> None:
    with store.holding([image.root.digest]):
        keep_image(store, image.root, name, now)
