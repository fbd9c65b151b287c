"""The image of a plan that was carried out: config and manifest in the store, under its names.

The same plan with the same layers gives the same bytes. Several platforms are an index, in the order of the command.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agent.content import media_types
from agent.content.digest import Digest
from agent.content.document import Descriptor
from agent.content.image_config import encode
from agent.content.platform import Platform
from agent.content.reference import Reference
from agent.images.keeping import keep_image
from agent.images.new_image import manifest_body
from agent.store.store import Store
from builder.execution.solver import Solved
from builder.layers.recipes import Recipe
from builder.layers.recompression import is_packed, recompressed
from builder.plan.layer import Layer
from builder.plan.planned_image import PlannedImage

Documents = Mapping[Digest, bytes]


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """image_id: the digest of the config. manifest: as an index lists it. base_layers: how many are the base's."""

    platform: Platform
    image_id: Digest
    manifest: Descriptor
    layers: tuple[Layer, ...]
    base_layers: int = 0


def made_image(planned: PlannedImage, solved: Solved) -> tuple[BuiltImage, Documents]:
    """What it consists of beside layers. Once that is in the store, under no name yet, hold `blobs_of` it."""
    config, layers = encode(planned.config(solved.layers)), planned.layers(solved.layers)
    return _made(planned.platform, config, layers, len(planned.base_layers))


def are_here(store: Store, documents: Documents) -> bool:
    return all(store.size_of(digest) == len(body) for digest, body in documents.items())


def put_documents(store: Store, documents: Documents) -> None:
    """Blocking. Raises DiskError."""
    for digest, body in documents.items():
        store.put(digest, body)


def squashed_image(store: Store, planned: PlannedImage, solved: Solved, layer: Layer) -> BuiltImage:
    """All that the build added is one layer, as `docker build --squash` has it."""
    base = planned.base_layers
    config = planned.config(solved.layers)
    config["rootfs"]["diff_ids"] = [str(one.diff_id) for one in (*base, layer)]
    added = len(config["history"]) - len(planned.history)
    for entry in config["history"][added:]:
        entry["empty_layer"] = True
    last = {"created": config.get("created"), "comment": "merge of all layers that the build added"}
    config["history"].append({key: value for key, value in last.items() if value})
    image, documents = _made(planned.platform, encode(config), (*base, layer), len(base))
    put_documents(store, documents)
    return image


def _made(
    platform: Platform, config: bytes, layers: Sequence[Layer], base_layers: int
) -> tuple[BuiltImage, Documents]:
    descriptor = Descriptor(media_types.OCI_CONFIG, Digest.of(config), len(config))
    manifest, body = _manifest(descriptor, layers, platform)
    image = BuiltImage(platform, descriptor.digest, manifest, tuple(layers), base_layers)
    return image, {image.image_id: config, manifest.digest: body}


def _manifest(config: Descriptor, layers: Sequence[Layer], platform: Platform) -> tuple[Descriptor, bytes]:
    body = manifest_body(config, [layer.blob for layer in layers])
    return Descriptor(media_types.OCI_MANIFEST, Digest.of(body), len(body), platform), body


def is_packed_as(image: BuiltImage, recipe: Recipe, *, with_base: bool) -> bool:
    return all(is_packed(layer, recipe) for layer in image.layers[0 if with_base else image.base_layers :])


def packed_as(
    store: Store,
    image: BuiltImage,
    recipe: Recipe,
    hold: Callable[[Iterable[Digest]], None],
    *,
    with_base: bool,
) -> BuiltImage:
    """The same image with its new layers, or all of them, packed as the recipe says. Blocking. Raises ContentError,
    DiskError."""
    layers = list(image.layers)
    for number in range(0 if with_base else image.base_layers, len(layers)):
        if not is_packed(layers[number], recipe):
            layers[number] = recompressed(store, layers[number], recipe)
            hold([layers[number].blob.digest])
    config = Descriptor(media_types.OCI_CONFIG, image.image_id, store.size_of(image.image_id) or 0)
    manifest, body = _manifest(config, layers, image.platform)
    store.put(manifest.digest, body)
    hold([manifest.digest])
    return replace(image, manifest=manifest, layers=tuple(layers))


def name_images(
    store: Store, images: Sequence[BuiltImage], names: Sequence[Reference], now: float
) -> Descriptor:
    """The manifest, or the index of several, under each name; under none where there is no name. Raises DiskError."""
    root = root_of(store, images)
    blobs = {blob for image in images for blob in blobs_of(image)} | {root.digest}
    with store.holding(blobs):
        for name in names or (None,):
            keep_image(store, root, name, now)
    return root


def blobs_of(image: BuiltImage) -> list[Digest]:
    return [image.manifest.digest, image.image_id, *(layer.blob.digest for layer in image.layers)]


def root_of(store: Store, images: Sequence[BuiltImage]) -> Descriptor:
    """The manifest, or the index of several, which is in the store then, under no name yet. Raises DiskError."""
    if len(images) == 1:
        return images[0].manifest
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_INDEX,
        "manifests": [_entry(image) for image in images],
    }
    body = json.dumps(document, separators=(",", ":")).encode()
    root = Descriptor(media_types.OCI_INDEX, Digest.of(body), len(body))
    store.put(root.digest, body)
    return root


def _entry(image: BuiltImage) -> dict[str, Any]:
    platform = image.platform
    told = {"architecture": platform.architecture, "os": platform.os, "variant": platform.variant}
    return {
        "mediaType": image.manifest.media_type,
        "digest": str(image.manifest.digest),
        "size": image.manifest.size,
        "platform": {key: value for key, value in told.items() if value},
    }
