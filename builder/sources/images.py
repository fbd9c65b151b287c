"""`ImageSource`: the images that a build stands on: of this store, else through the swarm.

What is here and whole is taken as it is, as Docker does; `pull` asks anew. Names mean what they mean everywhere on the
command line: the cluster's own image first, then Docker Hub's (agent/images/names.py). Questions to the store and a few
KB of documents need no thread (agent/store/store.py).
"""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from agent.content.digest import Digest
from agent.content.document import MAX_PUSHED_DOCUMENT_BYTES, Descriptor, Document, parse_document
from agent.content.errors import ContentError, InputError, NotFound, ShoalError
from agent.content.image_config import ImageConfig
from agent.content.platform import Platform
from agent.content.reference import Reference
from agent.images.local_image import read_config
from agent.images.names import lookup_order
from agent.images.new_image import base_layer
from agent.store.store import Store
from builder.plan.layer import Layer
from builder.plan.options import BaseImage, ImageRequest

Pull = Callable[[Reference, Platform], Awaitable[None]]
"""An image into the store. Raises ShoalError."""


@dataclass(frozen=True, slots=True)
class _Found:
    reference: Reference
    manifest: Descriptor
    document: Document
    config: ImageConfig


class ImageSource:
    def __init__(self, store: Store, pull: Pull, *, always_pull: bool = False) -> None:
        self._store = store
        self._pull = pull
        self._always_pull = always_pull

    async def find(self, request: ImageRequest) -> BaseImage:
        """Raises InputError for what is no name, NotFound, and what the pull fails with."""
        meanings = lookup_order(request.name)
        if not self._always_pull:
            for meant in meanings:
                found = self._here_or_missing(meant, request.platform)
                if isinstance(found, Digest):
                    found = await self._restored(meant, found, request)
                if found is not None:
                    return self._base(request, found)
        return self._base(request, await self._pulled(meanings, request))

    def tags_here(self, name: str) -> list[str]:
        """Under which tags this store has an image of this name. Raises InputError for what is no name."""
        repositories = {meant.repository for meant in lookup_order(name)}
        return sorted(one.tag for one in self._store.tags() if one.repository in repositories)

    async def _restored(self, meant: Reference, missing: Digest, request: ImageRequest) -> _Found:
        """What is named here is meant, and no other image of the same short name, though part of it is gone."""
        try:
            return await self._pulled([meant], request)
        except ShoalError as error:
            raise type(error)(
                f"{meant} is known here, but {missing} of it is not in the store, and cannot be fetched: {error}; "
                "`shoal store repair` tries that for the whole store; else load, build or pull the image anew"
            ) from None

    async def _pulled(self, meanings: list[Reference], request: ImageRequest) -> _Found:
        failure: ShoalError = NotFound(f"there is no image {request.name}")
        for meant in meanings:
            try:
                await self._pull(meant, request.platform)
            except NotFound as error:
                failure = error
                if self._always_pull and (here := self._here(meant, request.platform)) is not None:
                    return here  # the cluster's own, which nobody else has
                continue
            found = self._here(meant, request.platform)
            if found is not None:
                return found
            failure = NotFound(f"{request.name} is no image for {request.platform}")
        raise failure

    def platforms_here(self, name: str) -> list[Platform]:
        """What it is for that is called so here. Raises InputError for what is no name."""
        found = next((one for one in map(self._digest, lookup_order(name)) if one is not None), None)
        document = None if found is None else self._document(found)
        if document is None:
            return []
        if document.is_index:
            return [one.platform for one in document.children if one.platform]
        config = None if document.config is None else read_config(self._store, document.config)
        return [] if config is None else [config.platform]

    def _here(self, reference: Reference, platform: Platform) -> _Found | None:
        """Whole, and for the platform."""
        digest = self._digest(reference)
        if digest is None:
            return None
        for manifest, document in self._manifests(digest, platform):
            parts = [manifest, *document.children]
            config = None if document.config is None else read_config(self._store, document.config)
            if config is None or any(self._store.size_of(part.digest) is None for part in parts):
                continue
            if platform.fits(config.platform) or not config.platform.architecture:
                return _Found(reference, manifest, document, config)
        return None

    def _here_or_missing(self, reference: Reference, platform: Platform) -> _Found | Digest | None:
        return self._here(reference, platform) or self._missing(reference, platform)

    def _missing(self, reference: Reference, platform: Platform) -> Digest | None:
        """What is gone of an image that is here by name, for this platform; None where nothing is."""
        digest = None if reference.digest is not None else self._digest(reference)
        if digest is None:
            return None
        document = self._document(digest)
        chosen = document.pick(platform) if document is not None and document.is_index else None
        parts = [digest] if chosen is None else [digest, chosen.digest]
        parts += [one.digest for _, below in self._manifests(digest, platform) for one in below.children]
        return next((part for part in parts if self._store.size_of(part) is None), None)

    def _digest(self, reference: Reference) -> Digest | None:
        if reference.digest is not None:
            return reference.digest
        tag = self._store.find_tag(reference.repository, reference.tag or "latest")
        return None if tag is None else tag.descriptor.digest

    def _manifests(self, digest: Digest, platform: Platform) -> Iterator[tuple[Descriptor, Document]]:
        document = self._document(digest)
        if document is None:
            return
        if not document.is_index:
            yield Descriptor(document.media_type, digest, self._store.size_of(digest) or 0), document
            return
        chosen = document.pick(platform)
        below = None if chosen is None else self._document(chosen.digest)
        if chosen is not None and below is not None and not below.is_index:
            yield chosen, below

    def _document(self, digest: Digest) -> Document | None:
        try:
            body = self._store.read(digest, MAX_PUSHED_DOCUMENT_BYTES)
            return None if body is None else parse_document(body, limit_bytes=MAX_PUSHED_DOCUMENT_BYTES)
        except ContentError:
            return None

    def _base(self, request: ImageRequest, found: _Found) -> BaseImage:
        blobs, diff_ids = found.document.layers, found.config.diff_ids
        if len(blobs) != len(diff_ids):
            raise InputError(
                f"{request.name} cannot be built upon: its manifest has {len(blobs)} layers, its config {len(diff_ids)}"
            )
        layers = tuple(
            Layer(base_layer(self._store, blob), diff_id)
            for blob, diff_id in zip(blobs, diff_ids, strict=True)
        )
        platform = found.config.platform if found.config.platform.architecture else request.platform
        return BaseImage(request.name, platform, found.config, layers, found.manifest.digest)
