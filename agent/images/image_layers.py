"""The root file system of an image in the store."""

from agent.content.digest import Digest
from agent.content.errors import ContentError
from agent.images.local_image import LocalImage
from agent.images.root_fs import OpenLayer, RootFs
from agent.images.stored_blob import reader_of, stored_layer
from agent.images.tar_reader import Read
from agent.store.store import Store


def image_root_fs(store: Store, image: LocalImage) -> RootFs:
    """Raises ContentError where a layer is not here, damaged, or cannot be applied; DiskError."""
    if image.document is None or image.config is None:
        raise ContentError(f"{image.root.digest} is not here completely, or is no image: pull it again")
    return RootFs.of([_opener(store, layer.digest) for layer in image.layers])


def _opener(store: Store, digest: Digest) -> OpenLayer:
    def open_layer() -> Read:
        return reader_of(stored_layer(store, digest))

    return open_layer
