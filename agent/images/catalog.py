"""`Catalog`: the images of a store as they are now, and which of them a text on the command line means.

A text is a name, a name with a digest, an image ID (the digest of a config) or its beginning, or a manifest's digest.
"""

import re
from dataclasses import dataclass
from typing import Self

from agent.content.digest import Digest
from agent.content.errors import InputError, NotFound
from agent.content.reference import BUILD_CACHE, Repository
from agent.images.local_image import LocalImage, local_image
from agent.images.names import UNTAGGED, lookup_order, shown_name
from agent.store.store import Store

_ID = re.compile(r"(?:sha256:)?([0-9a-f]{1,64})")


@dataclass(frozen=True, slots=True)
class Found:
    """`by_name`: the text was a name and not an ID."""

    image: LocalImage
    by_name: bool


@dataclass(frozen=True, slots=True)
class Catalog:
    images: tuple[LocalImage, ...]

    @classmethod
    def of(cls, store: Store) -> Self:
        """Images with something here. An image without a name is listed where no name leads to it. Raises DiskError."""
        records = [one for one in store.images() if one.size > 0 and one.repository != BUILD_CACHE]
        found = [local_image(store, record) for record in records]
        named = {image.image_id for image in found if image.tag is not None}
        return cls(tuple(one for one in found if one.repository != UNTAGGED or one.image_id not in named))

    @property
    def repositories(self) -> set[Repository]:
        return {image.repository for image in self.images}

    def shown_name(self, image: LocalImage) -> str:
        """`<none>` where it has no name."""
        return "<none>" if image.repository == UNTAGGED else shown_name(image.repository, self.repositories)

    def same(self, image: LocalImage) -> list[LocalImage]:
        """All that have this image's ID, itself included."""
        if image.image_id is None:
            return [one for one in self.images if one.root.digest == image.root.digest]
        return [one for one in self.images if one.image_id == image.image_id]

    def names_of(self, image: LocalImage) -> list[str]:
        return [f"{self.shown_name(one)}:{one.tag}" for one in self.same(image) if one.tag is not None]

    def digests_of(self, image: LocalImage) -> list[str]:
        """`name@digest` of what it can be fetched by."""
        texts = [
            f"{self.shown_name(one)}@{one.root.digest}"
            for one in self.same(image)
            if one.repository != UNTAGGED
        ]
        return list(dict.fromkeys(texts))

    def children_of(self, image: LocalImage) -> list[LocalImage]:
        """Images built on top of it: its layers and more."""
        if image.config is None or not image.config.diff_ids:
            return []
        below = image.config.diff_ids
        return [
            one
            for one in self.images
            if one.config is not None
            and len(one.config.diff_ids) > len(below)
            and one.config.diff_ids[: len(below)] == below
        ]

    def named(self, text: str) -> list[LocalImage]:
        """All tags of the repository that `text` names without a tag; none where it names something else."""
        if "@" in text or ":" in text.rpartition("/")[2]:
            return []
        try:
            meanings = lookup_order(text)
        except InputError:
            return []
        found = (
            [one for one in self.images if one.repository == meant.repository and one.tag is not None]
            for meant in meanings
        )
        return next((images for images in found if images), [])

    def find(self, text: str) -> Found:
        """Raises NotFound, InputError where several are meant."""
        if (image := self._by_name(text)) is not None:
            return Found(image, by_name=True)
        if (image := self._by_id(text)) is not None:
            return Found(image, by_name=False)
        raise NotFound(f"No such image: {text}")

    def _by_name(self, text: str) -> LocalImage | None:
        if text.startswith("sha256:"):
            return None
        try:
            meanings = lookup_order(text)
        except InputError:
            if _ID.fullmatch(text):
                return None
            raise
        for meant in meanings:
            for image in self.images:
                if image.repository != meant.repository:
                    continue
                if meant.digest is not None:
                    if meant.digest in (image.root.digest, image.manifest.digest):
                        return image
                elif image.tag == meant.tag:
                    return image
        return None

    def _by_id(self, text: str) -> LocalImage | None:
        match = _ID.fullmatch(text)
        if match is None:
            return None
        found: dict[Digest, LocalImage] = {}
        for image in self.images:
            for digest in (image.image_id, image.manifest.digest, image.root.digest):
                if digest is not None and digest.hex.startswith(match[1]):
                    found.setdefault(image.image_id or image.root.digest, image)
        if len(found) > 1:
            raise InputError(f"{text} is the beginning of the IDs of {len(found)} images: give more of it")
        return next(iter(found.values()), None)
