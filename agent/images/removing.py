"""`Remover`: tags and images go, with the words of Docker's `rmi` for it.

An image goes when its last name goes; with it go what its repositories knew of it and the blobs that nothing else needs
(store/removal.py). Pinned images stay, unless forced.
"""

from dataclasses import dataclass, field

from agent.content.chain_id import chain_ids
from agent.content.digest import Digest
from agent.content.errors import InputError
from agent.images.catalog import Catalog
from agent.images.keeping import LOCAL_PIN, USER_PIN
from agent.images.local_image import LocalImage
from agent.images.names import UNTAGGED
from agent.store.store import Store


@dataclass(slots=True)
class Removed:
    """untagged: `name:tag` and `name@digest`; deleted: image ID, then chain IDs of the layers that went, top first."""

    untagged: list[str] = field(default_factory=list)
    deleted: list[Digest] = field(default_factory=list)
    freed_bytes: int = 0


class Remover:
    """Methods raise DiskError."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def remove(self, text: str, *, force: bool = False) -> Removed:
        """Raises NotFound, InputError where the image is in use otherwise and not `force`."""
        catalog = Catalog.of(self._store)
        found = catalog.find(text)
        same = catalog.same(found.image)
        if found.by_name and found.image.tag is not None and "@" not in text:
            going = [found.image]
        else:
            self._refuse_several(found.image, same, force)
            going = same
        others = [one for one in same if one not in going]
        if not others:
            self._refuse_pinned(found.image, same, force)
        has_children = bool(catalog.children_of(found.image))
        if has_children and not force and not others and not found.by_name:
            raise InputError(
                f"conflict: unable to delete {_short(found.image)} (must be forced) - image has dependent child images"
            )
        return self.remove_images(catalog, going, others)

    def remove_images(self, catalog: Catalog, going: list[LocalImage], others: list[LocalImage]) -> Removed:
        """`going` and `others`: all that have one image ID."""
        removed = Removed()
        for image in going:
            if image.tag is not None and self._store.remove_tag(image.repository, image.tag):
                removed.untagged.append(f"{catalog.shown_name(image)}:{image.tag}")
        kept = {(one.repository, one.root.digest) for one in others}
        gone: dict[Digest, int] = {}
        for image in going:
            if (image.repository, image.root.digest) in kept:
                continue
            if image.repository != UNTAGGED and image.repository not in {one.repository for one in others}:
                removed.untagged.append(f"{catalog.shown_name(image)}@{image.root.digest}")
            gone |= self._forget(image, others)
        removed.untagged = list(dict.fromkeys(removed.untagged))
        removed.freed_bytes = sum(gone.values())
        if not others and gone:
            removed.deleted = _deleted(going[0], gone)
        return removed

    def _forget(self, image: LocalImage, others: list[LocalImage]) -> dict[Digest, int]:
        root = image.root.digest
        if all(one.root.digest != root for one in others):
            for reason in self._store.pins().get(root, []):
                if reason != USER_PIN:
                    self._store.unpin(root, reason)
        repositories = [image.repository]
        if not others:
            repositories.append(UNTAGGED)
        gone: dict[Digest, int] = {}
        for repository in repositories:
            gone |= self._store.remove_image(repository, root)
        return gone

    @staticmethod
    def _refuse_several(image: LocalImage, same: list[LocalImage], force: bool) -> None:
        repositories = {one.repository for one in same if one.tag is not None}
        if len(repositories) > 1 and not force:
            raise InputError(
                f"conflict: unable to delete {_short(image)} (must be forced) - image is referenced in multiple"
                " repositories"
            )

    def _refuse_pinned(self, image: LocalImage, same: list[LocalImage], force: bool) -> None:
        pins = self._store.pins()
        pinned = [one.root.digest for one in same if USER_PIN in pins.get(one.root.digest, [])]
        if pinned and not force:
            raise InputError(f"conflict: unable to delete {_short(image)} (must be forced) - image is pinned")
        for digest in pinned:
            self._store.unpin(digest, USER_PIN)


def is_pinned(store: Store, same: list[LocalImage]) -> bool:
    """By somebody, or because this node keeps it for the cluster; not only because it was made here."""
    pins = store.pins()
    return any(reason != LOCAL_PIN for one in same for reason in pins.get(one.root.digest, []))


def _deleted(image: LocalImage, gone: dict[Digest, int]) -> list[Digest]:
    deleted = [image.image_id or image.root.digest]
    if image.config is not None and len(image.config.diff_ids) == len(image.layers):
        chain = chain_ids(image.config.diff_ids)
        pairs = zip(reversed(chain), reversed(image.layers), strict=True)
        deleted += [chain_id for chain_id, layer in pairs if layer.digest in gone]
    return deleted


def _short(image: LocalImage) -> str:
    return (image.image_id or image.root.digest).short
