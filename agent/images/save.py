"""`save_archive`: images of the store as a tar that Docker (20.10's graph driver and later), podman, skopeo and
containerd read: an OCI layout with every blob as it is here, and beside it Docker's manifest.json and repositories.

- Docker 20.10 reads manifest.json alone; its layers may be gzip but not zstd, so of such a layer the plain tar is in
  the archive too. The others take the layout, and so the very manifest that the image was pulled with.
- Of an index the platform that runs here is saved, as Docker does.
- The same images give the same bytes: times and owners are zero.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from agent.content import media_types
from agent.content.chain_id import chain_ids
from agent.content.digest import Digest
from agent.content.document import Descriptor
from agent.content.errors import ContentError
from agent.content.reference import Repository
from agent.images.archive_files import OnBytes, unseen
from agent.images.local_image import LocalImage
from agent.images.names import name_for_containerd, name_in_archive, plain_name
from agent.images.stored_blob import stored_compression, stored_layer, stored_pieces
from agent.images.tar_entry import Kind, TarEntry
from agent.images.tar_writer import TarWriter, Write
from agent.store.store import Store

_OCI_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'


@dataclass(slots=True)
class SavedImage:
    """`names`: (repository, tag) under which it is to be loaded; none: under its ID alone."""

    image: LocalImage
    names: list[tuple[Repository, str]] = field(default_factory=list)


def saved_bytes(store: Store, images: Iterable[SavedImage]) -> int:
    """About what the archive will have, for a progress bar."""
    digests = {part.digest for one in images for part in _parts(one.image)}
    return sum(store.size_of(digest) or 0 for digest in digests)


def save_archive(
    store: Store, images: Sequence[SavedImage], write: Write, on_bytes: OnBytes = unseen
) -> None:
    """Raises ContentError where a blob is missing or damaged (what was written so far is to be thrown away)."""
    parts = {part.digest: part for one in images for part in _parts(one.image)}
    with store.holding(parts):
        writer = TarWriter(write)
        plain = {
            layer.digest: diff_id
            for one in images
            for layer, diff_id in _layers(one.image)
            if stored_compression(store, layer.digest) not in ("none", "gzip")
        }
        _write_documents(writer, images, plain)
        for digest, part in parts.items():
            entry = TarEntry(_path(digest), Kind.FILE, size=part.size)
            writer.add(entry, _counted(stored_pieces(store, digest), on_bytes))
        for digest, diff_id in plain.items():
            if diff_id not in parts:
                size = sum(len(piece) for piece in stored_layer(store, digest))
                writer.add(TarEntry(_path(diff_id), Kind.FILE, size=size), stored_layer(store, digest))
        writer.end()


def _write_documents(writer: TarWriter, images: Sequence[SavedImage], plain: dict[Digest, Digest]) -> None:
    writer.add_bytes("oci-layout", _OCI_LAYOUT)
    writer.add_bytes("index.json", _json(_index(images)))
    writer.add_bytes("manifest.json", _json([_docker_entry(one, plain) for one in images]))
    repositories = _repositories(images)
    if repositories:
        writer.add_bytes("repositories", _json(repositories))
    writer.add_directory("blobs")
    algorithms = {part.digest.algorithm for one in images for part in _parts(one.image)} | (
        {"sha256"} if plain else set()
    )
    for algorithm in sorted(algorithms):
        writer.add_directory(f"blobs/{algorithm}")


def _parts(image: LocalImage) -> list[Descriptor]:
    """The manifest and all that it names. Raises ContentError where the image cannot be saved."""
    if image.document is None or image.config is None or image.document.config is None:
        raise ContentError(f"{image.root.digest} is not here completely, or is no image: pull it again")
    return [image.manifest, image.document.config, *image.layers]


def _layers(image: LocalImage) -> list[tuple[Descriptor, Digest]]:
    assert image.config is not None
    if len(image.layers) != len(image.config.diff_ids):
        raise ContentError(f"{image.image_id} has another number of layers than its manifest")
    return list(zip(image.layers, image.config.diff_ids, strict=True))


def _docker_entry(one: SavedImage, plain: dict[Digest, Digest]) -> dict[str, Any]:
    assert one.image.image_id is not None
    return {
        "Config": _path(one.image.image_id),
        "RepoTags": [name_in_archive(*name) for name in one.names] or None,
        "Layers": [_path(plain.get(layer.digest, layer.digest)) for layer, _ in _layers(one.image)],
    }


def _index(images: Sequence[SavedImage]) -> dict[str, Any]:
    entries = []
    for one in images:
        manifest = one.image.manifest
        entry = {"mediaType": manifest.media_type, "digest": str(manifest.digest), "size": manifest.size}
        platform = None if one.image.config is None else one.image.config.platform
        if platform is not None and platform.architecture:
            entry["platform"] = {"architecture": platform.architecture, "os": platform.os} | (
                {"variant": platform.variant} if platform.variant else {}
            )
        for repository, tag in one.names:
            annotations = {
                "io.containerd.image.name": name_for_containerd(repository, tag),
                "org.opencontainers.image.ref.name": tag,
            }
            entries.append({**entry, "annotations": annotations})
        if not one.names:
            entries.append(entry)
    return {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": entries}


def _repositories(images: Sequence[SavedImage]) -> dict[str, dict[str, str]]:
    """Of Docker before 1.10; the value is the top layer's."""
    found: dict[str, dict[str, str]] = {}
    for one in images:
        chain = chain_ids(diff_id for _, diff_id in _layers(one.image))
        for repository, tag in one.names if chain else ():
            found.setdefault(plain_name(repository), {})[tag] = chain[-1].hex
    return found


def _counted(pieces: Iterable[bytes], on_bytes: OnBytes) -> Iterable[bytes]:
    for piece in pieces:
        on_bytes(len(piece))
        yield piece


def _path(digest: Digest) -> str:
    return f"blobs/{digest.algorithm}/{digest.hex}"


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
