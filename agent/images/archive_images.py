"""What images an archive says it holds: `manifest.json` of Docker, or the index of an OCI layout, as `ArchivedImage`s.

Where both are there (Docker from 25 on, and we) the layout is taken, since it has the manifests as they were; the names
come from both, and what they say of one name must be the same image: else two readers would load different ones.
"""

import json
from dataclasses import dataclass, replace
from typing import Any

from agent.content import media_types
from agent.content.digest import Digest
from agent.content.document import (
    MAX_DOCUMENT_BYTES,
    MAX_PUSHED_DOCUMENT_BYTES,
    Descriptor,
    Document,
    parse_document,
)
from agent.content.errors import ContentError
from agent.content.image_config import MAX_CONFIG_BYTES, ImageConfig, parse_image_config
from agent.images.archive_files import ArchiveFiles, read_small
from agent.store.staging import StagedBlob

_MAX_IMAGES = 10_000


@dataclass(frozen=True, slots=True)
class ArchivedImage:
    """One image. root: its manifest or index where the archive has it (`blobs/`), else None, and `layers` are its
    layers' files, the lowest first. image_ids: the configs it leads to."""

    names: tuple[str, ...]
    image_ids: tuple[Digest, ...]
    root: Descriptor | None = None
    config: ImageConfig | None = None
    config_file: StagedBlob | None = None
    layers: tuple[StagedBlob, ...] = ()


def archived_images(files: ArchiveFiles) -> list[ArchivedImage]:
    """Raises ContentError."""
    docker = _docker_images(files) if files.find("manifest.json") is not None else None
    layout = _layout_images(files) if files.find("index.json") is not None else None
    if docker is None and layout is None:
        raise ContentError("no image archive: it has neither manifest.json nor index.json")
    if not layout:
        return docker or []
    if docker is None:
        return layout
    return _merged(layout, docker)


def _merged(layout: list[ArchivedImage], docker: list[ArchivedImage]) -> list[ArchivedImage]:
    left = list(docker)
    merged = []
    for image in layout:
        same = [one for one in left if one.image_ids[0] in image.image_ids]
        left = [one for one in left if one not in same]
        names = dict.fromkeys(name for one in same for name in one.names)
        merged.append(replace(image, names=tuple(names)) if names else image)
    if left:
        raise ContentError(
            f"archive is ambiguous: manifest.json has the image {left[0].image_ids[0]}, index.json does not"
        )
    return merged


# --- manifest.json --------------------------------------------------------------------------------------------------


def _docker_images(files: ArchiveFiles) -> list[ArchivedImage]:
    entries = _json(files.read("manifest.json", MAX_DOCUMENT_BYTES), "manifest.json")
    if not isinstance(entries, list) or len(entries) > _MAX_IMAGES:
        raise ContentError(f"manifest.json is not a list of at most {_MAX_IMAGES} images")
    return [_docker_image(files, entry) for entry in entries]


def _docker_image(files: ArchiveFiles, entry: Any) -> ArchivedImage:
    if not isinstance(entry, dict) or not isinstance(entry.get("Config"), str):
        raise ContentError("manifest.json has an entry without Config")
    names, layers = _texts(entry, "RepoTags"), _texts(entry, "Layers")
    config_file = files.get(entry["Config"])
    config = parse_image_config(read_small(config_file, entry["Config"], MAX_CONFIG_BYTES))
    stem = entry["Config"].rpartition("/")[2].removesuffix(".json")
    if len(stem) == 64 and stem != config_file.digest.hex:
        raise ContentError(f"{entry['Config'][:200]!r} does not match its name: it is {config_file.digest}")
    if len(layers) != len(config.diff_ids):
        raise ContentError(
            f"manifest.json has {len(layers)} layers for {config_file.digest}, its config {len(config.diff_ids)}"
        )
    return ArchivedImage(
        tuple(names),
        (config_file.digest,),
        config=config,
        config_file=config_file,
        layers=tuple(files.get(layer) for layer in layers),
    )


def _texts(entry: dict[str, Any], key: str) -> list[str]:
    texts = entry.get(key) or []
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ContentError(f"manifest.json has {key} that are no list of texts")
    return texts


# --- index.json -----------------------------------------------------------------------------------------------------


def _layout_images(files: ArchiveFiles) -> list[ArchivedImage]:
    """Nothing where the documents themselves are not here: a layout beside a manifest.json may lack them."""
    index = parse_document(files.read("index.json", MAX_DOCUMENT_BYTES))
    if not index.is_index:
        raise ContentError("index.json is no index")
    images: dict[Digest, ArchivedImage] = {}
    for root in index.manifests:
        if files.blob(root.digest) is None:
            if files.find("manifest.json") is not None:
                return []
            raise ContentError(f"archive lacks {root.digest}, which index.json names")
        # One image under several names has an entry for each.
        before = images[root.digest].names if root.digest in images else ()
        names = tuple(dict.fromkeys((*before, *_annotated_names(root))))
        images[root.digest] = ArchivedImage(names, tuple(image_ids(files, root)), root)
    return list(images.values())


def _annotated_names(root: Descriptor) -> tuple[str, ...]:
    full = root.annotations.get("io.containerd.image.name")
    name = full or root.annotations.get("org.opencontainers.image.ref.name")
    return (name,) if name else ()


def document_of(files: ArchiveFiles, descriptor: Descriptor) -> Document:
    """Raises ContentError where it is missing, or other than the descriptor says."""
    blob = files.blob(descriptor.digest)
    if blob is None:
        raise ContentError(f"archive lacks {descriptor.digest}")
    if blob.size != descriptor.size:
        raise ContentError(
            f"{descriptor.digest} has {blob.size} bytes, its descriptor says {descriptor.size}"
        )
    body = read_small(blob, str(descriptor.digest), MAX_PUSHED_DOCUMENT_BYTES)
    return parse_document(body, descriptor.media_type, MAX_PUSHED_DOCUMENT_BYTES)


def image_ids(files: ArchiveFiles, root: Descriptor, depth: int = 3) -> list[Digest]:
    document = document_of(files, root)
    if not document.is_index:
        is_image = document.config is not None and document.config.media_type in media_types.CONFIGS
        return [document.config.digest] if is_image and document.config else []
    if not depth:
        raise ContentError("archive has indexes of indexes of indexes")
    here = [child for child in document.manifests if files.blob(child.digest) is not None]
    if not here:
        raise ContentError(f"archive has no image of the index {root.digest}")
    return [found for child in here for found in image_ids(files, child, depth - 1)]


def _json(body: bytes, name: str) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise ContentError(f"{name} is not JSON") from None
