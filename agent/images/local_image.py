"""`LocalImage`: an image of the store as people see it: a name, an image ID, a config, layers.

A name may stand for an index of several platforms; the image is then the one that runs on this machine, else the first
that is here. The image ID is the digest of the config, as Docker's; of a manifest whose config is not here it is known
all the same, since the manifest names it.
"""

import platform as machine
from dataclasses import dataclass

from agent.content.digest import Digest
from agent.content.document import MAX_PUSHED_DOCUMENT_BYTES, Descriptor, Document, parse_document
from agent.content.errors import ContentError
from agent.content.image_config import MAX_CONFIG_BYTES, ImageConfig, parse_image_config
from agent.content.platform import Platform
from agent.content.reference import Repository
from agent.store.store import ImageRecord, Store


@dataclass(frozen=True, slots=True)
class LocalImage:
    """`root`: what the name stands for, an index or the manifest itself. Where the manifest is not here (evicted),
    `document` is None, and so is what it would tell. `size`: bytes of what is here."""

    repository: Repository
    tag: str | None
    root: Descriptor
    manifest: Descriptor
    document: Document | None
    config: ImageConfig | None
    size: int
    complete: bool
    pulled_at: float

    @property
    def image_id(self) -> Digest | None:
        config = None if self.document is None else self.document.config
        return None if config is None else config.digest

    @property
    def created_at(self) -> float | None:
        """Seconds since the epoch."""
        return None if self.config is None else self.config.created_at

    @property
    def layers(self) -> tuple[Descriptor, ...]:
        return () if self.document is None else self.document.layers


def local_image(store: Store, record: ImageRecord) -> LocalImage:
    """Raises DiskError. What is here of it and cannot be read counts as not here."""
    root = Descriptor(record.media_type, record.digest, store.size_of(record.digest) or 0)
    manifest, document = root, _document(store, root.digest)
    if document is not None and document.is_index:
        manifest, document = _of_machine(store, document) or (root, None)
    config = None if document is None or document.config is None else read_config(store, document.config)
    return LocalImage(
        record.repository,
        record.tag,
        root,
        manifest,
        document,
        config,
        record.size,
        record.complete and document is not None,
        record.pulled_at,
    )


def read_config(store: Store, descriptor: Descriptor) -> ImageConfig | None:
    """None where it is not here, or is of something else than an image."""
    try:
        body = store.read(descriptor.digest, MAX_CONFIG_BYTES)
        return None if body is None else parse_image_config(body)
    except ContentError:
        return None


def _of_machine(store: Store, index: Document) -> tuple[Descriptor, Document] | None:
    chosen = index.pick(Platform.of_machine(machine.machine()))
    for candidate in (*((chosen,) if chosen else ()), *index.manifests):
        document = _document(store, candidate.digest)
        if document is not None and not document.is_index:
            return candidate, document
    return None


def _document(store: Store, digest: Digest) -> Document | None:
    try:
        body = store.read(digest, MAX_PUSHED_DOCUMENT_BYTES)
        return None if body is None else parse_document(body, limit_bytes=MAX_PUSHED_DOCUMENT_BYTES)
    except ContentError:
        return None
