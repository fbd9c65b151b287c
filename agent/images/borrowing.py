"""`borrowed`: an image from a layout or an archive, in the store for as long as it is copied on, and no longer."""

from collections.abc import Iterator
from contextlib import contextmanager

from agent.content.errors import InputError
from agent.images.archive_files import OnBytes
from agent.images.catalog import Catalog
from agent.images.load import load_archive
from agent.images.local_image import LocalImage
from agent.images.names import UNTAGGED
from agent.images.removing import Remover
from agent.images.tar_reader import Read
from agent.store.store import Store


@contextmanager
def borrowed(store: Store, read: Read, name: str, on_bytes: OnBytes) -> Iterator[LocalImage]:
    """`name`: which image of the archive, "" for the only one; read to its end. Raises NotFound, InputError for
    several, and what load_archive raises."""
    before = {image.root.digest for image in Catalog.of(store).images}
    loaded = load_archive(store, read, on_bytes, keep_names=False, only=name)
    roots = {one.root.digest for one in loaded}
    try:
        if len(roots) > 1:
            raise InputError(f"it has {len(roots)} images: name one, as TRANSPORT:FILE:NAME")
        yield next(image for image in Catalog.of(store).images if image.root.digest in roots)
    finally:
        for digest in roots - before:
            catalog = Catalog.of(store)
            mine = [one for one in catalog.images if one.repository == UNTAGGED and one.root.digest == digest]
            for image in mine:
                others = [one for one in catalog.same(image) if one not in mine]
                Remover(store).remove_images(catalog, [image], others)
