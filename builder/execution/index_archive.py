"""`write_index_archive`: an image of several platforms as an OCI layout in a tar: podman, skopeo and containerd take
what fits their machine. Docker's own form of an archive knows no index, and so has no place in it.

The same images give the same bytes: times and owners are zero.
"""

import json
from collections.abc import Sequence
from typing import Any

from agent.content import media_types
from agent.content.digest import Digest
from agent.content.document import Descriptor
from agent.content.reference import Reference
from agent.images.names import name_for_containerd
from agent.images.stored_blob import stored_pieces
from agent.images.tar_entry import Kind, TarEntry
from agent.images.tar_writer import TarWriter, Write
from agent.store.store import Store


def write_index_archive(
    store: Store, index: Descriptor, blobs: Sequence[Digest], names: Sequence[Reference], write: Write
) -> None:
    """index: its document is in the store, and so are the `blobs` below it. Raises ContentError, DiskError."""
    writer = TarWriter(write)
    writer.add_bytes("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
    writer.add_bytes("index.json", _root(index, names))
    writer.add_directory("blobs")
    writer.add_directory("blobs/sha256")
    for digest in dict.fromkeys((index.digest, *blobs)):
        entry = TarEntry(f"blobs/sha256/{digest.hex}", Kind.FILE, size=store.size_of(digest) or 0)
        writer.add(entry, stored_pieces(store, digest))
    writer.end()


def _root(index: Descriptor, names: Sequence[Reference]) -> bytes:
    entry: dict[str, Any] = {
        "mediaType": index.media_type,
        "digest": str(index.digest),
        "size": index.size,
    }
    entries = [{**entry, "annotations": _annotations(name)} for name in names] or [entry]
    document = {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": entries}
    return json.dumps(document, separators=(",", ":")).encode()


def _annotations(name: Reference) -> dict[str, str]:
    tag = name.tag or "latest"
    return {
        "io.containerd.image.name": name_for_containerd(name.repository, tag),
        "org.opencontainers.image.ref.name": tag,
    }
