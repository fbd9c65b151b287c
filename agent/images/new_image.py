"""`make_image`: an image that comes into being here: maybe a base, maybe one layer more, and a changed config.

Its manifest is OCI's. The base's layers are taken as they are; what each of them is compressed with is seen by looking.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.content import media_types
from agent.content.digest import Digest
from agent.content.document import Descriptor
from agent.content.image_config import HistoryEntry, encode
from agent.content.platform import Platform
from agent.content.reference import Reference
from agent.images.inspection import config_of
from agent.images.keeping import keep_image
from agent.images.layer_facts import LAYER_TYPES, LayerFacts
from agent.images.local_image import LocalImage
from agent.images.stored_blob import stored_compression
from agent.store.staging import StagedBlob, Staging
from agent.store.store import Store


@dataclass(frozen=True, slots=True)
class NewImage:
    """runtime: the config's `config`. step: the last entry of its history, with the time of creation."""

    base: LocalImage | None
    layer: tuple[StagedBlob, LayerFacts] | None
    runtime: Mapping[str, Any]
    step: HistoryEntry
    platform: Platform
    comment: str = ""
    author: str = ""


def make_image(store: Store, staging: Staging, new: NewImage, name: Reference | None, now: float) -> Digest:
    """Its image ID. Raises ContentError where the base is not here, DiskError."""
    layers = [] if new.base is None else [base_layer(store, layer) for layer in new.base.layers]
    config, manifest = staging.new(), staging.new()
    config.write(encode(_config(new)))
    blobs = [config, manifest]
    if new.layer is not None:
        blob, facts = new.layer
        layers.append(Descriptor(facts.media_type, blob.digest, blob.size))
        blobs.insert(0, blob)
    manifest.write(manifest_body(Descriptor(media_types.OCI_CONFIG, config.digest, config.size), layers))
    root = Descriptor(media_types.OCI_MANIFEST, manifest.digest, manifest.size)
    with store.holding([*(blob.digest for blob in blobs), *(layer.digest for layer in layers)]):
        for one in blobs:
            one.keep()
        keep_image(store, root, name, now)
    return config.digest


def manifest_body(config: Descriptor, layers: list[Descriptor]) -> bytes:
    """An OCI manifest. The same parts give the same bytes."""
    document = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_MANIFEST,
        "config": _part(config),
        "layers": [_part(layer) for layer in layers],
    }
    return json.dumps(document, separators=(",", ":")).encode()


def _part(one: Descriptor) -> dict[str, Any]:
    return {"mediaType": one.media_type, "digest": str(one.digest), "size": one.size}


def base_layer(store: Store, layer: Descriptor) -> Descriptor:
    """As an OCI manifest lists it, whatever the base's own manifest calls it."""
    return Descriptor(LAYER_TYPES[stored_compression(store, layer.digest)], layer.digest, layer.size)


def _config(new: NewImage) -> dict[str, Any]:
    base = None if new.base is None else config_of(new.base)
    diff_ids = [] if base is None else [str(diff_id) for diff_id in base.diff_ids]
    history = [] if base is None else list(base.raw.get("history") or [])
    if new.layer is not None:
        diff_ids.append(str(new.layer[1].diff_id))
    raw: dict[str, Any] = {
        "architecture": new.platform.architecture,
        "os": new.platform.os,
        "config": {
            key: value for key, value in new.runtime.items() if value not in (None, "", [], {}, False)
        },
        "created": new.step.created,
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": [*history, new.step.as_json()],
    }
    told = {"variant": new.platform.variant, "comment": new.comment, "author": new.author}
    return raw | {key: value for key, value in told.items() if value}
