"""`load_archive`: the images of an archive into the store: any Docker's, podman's, skopeo's, plain layouts.

Invariant: nothing becomes a blob before the whole archive was read and all of it was found right: each layer is the
tar that its config names by diffID, each blob is what it is named by. A failure leaves the store as it was. What an
archive keeps bit-exact (manifests, compressed layers) is kept so here.
"""

import time
from dataclasses import dataclass, replace

from agent.content import media_types
from agent.content.digest import Digest
from agent.content.document import Descriptor, Document
from agent.content.errors import ContentError, NotFound
from agent.content.image_config import MAX_CONFIG_BYTES, parse_image_config
from agent.images.archive_files import ArchiveFiles, OnBytes, read_small, stage_archive, unseen
from agent.images.archive_images import ArchivedImage, archived_images, document_of
from agent.images.catalog import Catalog
from agent.images.compression import DEFAULT_LIMITS, BombLimits, open_plain
from agent.images.keeping import keep_image
from agent.images.layer_facts import LayerFacts, read_layer
from agent.images.names import archived_name
from agent.images.new_image import manifest_body
from agent.images.tar_reader import PIECE_BYTES, Read
from agent.store.staging import StagedBlob, Staging
from agent.store.store import Store


@dataclass(frozen=True, slots=True)
class Loaded:
    """names: as the archive spells them."""

    root: Descriptor
    image_id: Digest
    names: tuple[str, ...]


def load_archive(
    store: Store,
    read: Read,
    on_bytes: OnBytes = unseen,
    *,
    keep_names: bool = True,
    only: str = "",
    limits: BombLimits = DEFAULT_LIMITS,
) -> list[Loaded]:
    """`read`: the archive, maybe compressed; read to its end. `keep_names` False: the images come under no name.
    `only`: the image of this name alone, "" for all.

    Raises ContentError for an archive that is damaged, ambiguous or hostile, InputError for a name in it that is none,
    NotFound where `only` is not in it, DiskError.
    """
    with store.staging() as staging:
        stream = open_plain(read, limits)
        files = stage_archive(stream.read, staging, on_bytes)
        while stream.read(PIECE_BYTES):  # whoever writes into the pipe wants to get rid of all of it
            pass
        loader = _Loader(store, files, staging, limits)
        images = [loader.prepare(image) for image in _wanted(archived_images(files), only)]
        if not images:
            raise ContentError("the archive has no images")
        for image in images:
            for name in image.names:
                archived_name(name)
        return [loader.keep(image, keep_names) for image in images]


def _wanted(images: list[ArchivedImage], only: str) -> list[ArchivedImage]:
    if not only:
        return images
    meant = archived_name(only)
    found = [one for one in images if any(name == only or archived_name(name) == meant for name in one.names)]
    if not found:
        known = ", ".join(name for one in images for name in one.names) or "none with a name"
        raise NotFound(f"the archive has no image {only}; it has {known}")
    return found


@dataclass(frozen=True, slots=True)
class _Prepared:
    """Checked; `blobs` are to become blobs."""

    root: Descriptor
    image_id: Digest
    names: tuple[str, ...]
    blobs: dict[Digest, StagedBlob]


class _Loader:
    def __init__(self, store: Store, files: ArchiveFiles, staging: Staging, limits: BombLimits) -> None:
        self._store = store
        self._files = files
        self._staging = staging
        self._limits = limits
        self._facts: dict[Digest, LayerFacts] = {}
        self._known = {
            image.image_id: image.root
            for image in Catalog.of(store).images
            if image.complete and image.image_id
        }

    def prepare(self, image: ArchivedImage) -> _Prepared:
        if image.root is not None:
            blobs = self._prepare_document(image.root)
            image_id = image.image_ids[0] if image.image_ids else image.root.digest
            return _Prepared(image.root, image_id, image.names, blobs)
        assert image.config is not None
        assert image.config_file is not None
        layers = [self._kept_layer(layer, image.config.diff_ids[n]) for n, layer in enumerate(image.layers)]
        image_id = image.config_file.digest
        if image_id in self._known:  # as it was pulled, with its own manifest
            return _Prepared(self._known[image_id], image_id, image.names, {})
        blobs = {blob.digest: blob for blob in (image.config_file, *(layer for layer, _ in layers))}
        config = Descriptor(media_types.OCI_CONFIG, image.config_file.digest, image.config_file.size)
        parts = [Descriptor(facts.media_type, layer.digest, layer.size) for layer, facts in layers]
        manifest = self._staging.new()
        manifest.write(manifest_body(config, parts))
        root = Descriptor(media_types.OCI_MANIFEST, manifest.digest, manifest.size)
        return _Prepared(root, image_id, image.names, {**blobs, manifest.digest: manifest})

    def keep(self, image: _Prepared, keep_names: bool) -> Loaded:
        with self._store.holding([image.root.digest, *image.blobs]):
            # Documents last: what a document that is here names is here.
            for digest, blob in image.blobs.items():
                if self._store.size_of(digest) is None:
                    _keep(self._store, digest, blob)
            names = image.names if keep_names else ()
            for name in names:
                keep_image(self._store, image.root, archived_name(name), time.time())
            if not names:
                keep_image(self._store, image.root, None, time.time())
        return Loaded(image.root, image.image_id, names)

    def _prepare_document(self, descriptor: Descriptor) -> dict[Digest, StagedBlob]:
        """What is beneath first, the document itself last."""
        document = document_of(self._files, descriptor)
        blobs: dict[Digest, StagedBlob] = {}
        if document.is_index:
            for child in document.manifests:
                if self._files.blob(child.digest) is not None:  # an archive of some of the platforms is fine
                    blobs |= self._prepare_document(child)
        else:
            blobs |= {child.digest: self._blob(child) for child in document.children}
            self._check_layers(document)
        blob = self._files.blob(descriptor.digest)
        assert blob is not None
        blobs.pop(descriptor.digest, None)
        return {**blobs, descriptor.digest: blob}

    def _blob(self, descriptor: Descriptor) -> StagedBlob:
        blob = self._files.blob(descriptor.digest)
        if blob is None:
            raise ContentError(f"archive lacks {descriptor.digest}")
        if blob.size != descriptor.size:
            raise ContentError(
                f"{descriptor.digest} has {blob.size} bytes, its descriptor says {descriptor.size}"
            )
        return blob

    def _check_layers(self, document: Document) -> None:
        if document.config is None or document.config.media_type not in media_types.CONFIGS:
            return  # an artifact: its parts are nobody's layers
        body = read_small(self._blob(document.config), str(document.config.digest), MAX_CONFIG_BYTES)
        config = parse_image_config(body)
        if "in-toto" in "".join(layer.media_type for layer in document.layers):
            return
        if len(config.diff_ids) != len(document.layers):
            raise ContentError(
                f"{document.config.digest} names {len(config.diff_ids)} layers, its manifest {len(document.layers)}"
            )
        for layer, diff_id in zip(document.layers, config.diff_ids, strict=True):
            self._layer(self._blob(layer), diff_id)

    def _kept_layer(self, layer: StagedBlob, diff_id: Digest) -> tuple[StagedBlob, LayerFacts]:
        """As a manifest can name it: without a compression that no media type says."""
        return in_layer_form(self._staging, layer, self._layer(layer, diff_id), self._limits)

    def _layer(self, layer: StagedBlob, diff_id: Digest) -> LayerFacts:
        """Raises ContentError unless it is the layer of this diffID."""
        if layer.digest not in self._facts:
            self._facts[layer.digest] = read_layer(layer.reader(), self._limits)
        facts = self._facts[layer.digest]
        if facts.diff_id != diff_id:
            raise ContentError(
                f"a layer of the archive is {facts.diff_id}: its image's config names {diff_id}"
            )
        return facts


def _keep(store: Store, digest: Digest, blob: StagedBlob) -> None:
    if digest.algorithm == "sha256":
        blob.keep()
    else:
        body = read_small(blob, str(digest), 64 * 1024 * 1024)
        store.put(digest, body)


def in_layer_form(
    staging: Staging, layer: StagedBlob, facts: LayerFacts, limits: BombLimits = DEFAULT_LIMITS
) -> tuple[StagedBlob, LayerFacts]:
    """The layer itself; or, of one in bzip2 or xz, its plain tar."""
    if facts.compression in ("none", "gzip", "zstd"):
        return layer, facts
    plain, stream = staging.new(), open_plain(layer.reader(), limits)
    while piece := stream.read(PIECE_BYTES):
        plain.write(piece)
    plain.seal()
    return plain, replace(facts, compression="none")
