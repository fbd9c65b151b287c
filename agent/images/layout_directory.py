"""OCI layouts in directories of this machine: one image out of one, or into one.

Read is what the wanted image needs, as an archive is read: staged, and checked as a whole. Written are blobs by rename
and `index.json` last, so that a reader beside us always finds a whole layout; other images in it stay.
"""

import json
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
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
from agent.content.errors import ContentError, InputError, NotFound
from agent.images.archive_files import OnBytes
from agent.images.disk_tree import DiskTree
from agent.images.local_image import LocalImage
from agent.images.oci_form import oci_form
from agent.images.stored_blob import reader_of, stored_pieces
from agent.images.tar_entry import TarEntry
from agent.images.tar_reader import Read
from agent.store.disk_errors import disk_errors
from agent.store.layout import fsync_directory, replace_file
from agent.store.store import Store

_OCI_LAYOUT = b'{"imageLayoutVersion": "1.0.0"}'
_REF_NAME = "org.opencontainers.image.ref.name"
_FULL_NAME = "io.containerd.image.name"


# --- reading --------------------------------------------------------------------------------------------------------


def open_layout(directory: Path, name: str) -> Read:
    """The image of this name ("": the only one) as an archive that load_archive reads, without a name in it.

    Raises NotFound, InputError, ContentError, DiskError.
    """
    index = _read_index(directory)
    if index is None:
        raise InputError(f"{directory} is no OCI layout: it has no index.json")
    root = _chosen(directory, index, name)
    wanted = {f"blobs/{one.algorithm}/{one.hex}" for one in _reachable(directory, root)}
    tree = DiskTree(directory)
    tree.entries = [entry for entry in tree.entries if entry.name in wanted]
    entry = {"mediaType": root.media_type, "digest": str(root.digest), "size": root.size}
    alone = {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": [entry]}
    return reader_of(_pieces(json.dumps(alone).encode(), tree))


def _pieces(index: bytes, tree: DiskTree) -> Iterator[bytes]:
    entry = TarEntry("index.json", size=len(index))
    yield entry.encode() + index + bytes(entry.padding_bytes)
    read = tree.open_tar()
    while piece := read(1024 * 1024):
        yield piece


def _chosen(directory: Path, index: Document, name: str) -> Descriptor:
    names = [
        (one, one.annotations.get(_REF_NAME), one.annotations.get(_FULL_NAME)) for one in index.manifests
    ]
    found = [one for one, ref, full in names if not name or name in (ref, full)]
    if not found:
        known = ", ".join(sorted({ref or full or "(without a name)" for _, ref, full in names})) or "nothing"
        raise NotFound(f"{directory} has no image {name!r}; it has {known}")
    if len({one.digest for one in found}) > 1:
        raise InputError(f"{directory} has several images: name one, as oci:{directory}:NAME")
    return found[0]


def _reachable(directory: Path, root: Descriptor) -> Iterator[Digest]:
    """As far as it is there: of an index maybe some platforms."""
    yield root.digest
    if root.media_type not in media_types.DOCUMENTS:
        return
    path = directory / "blobs" / root.digest.algorithm / root.digest.hex
    with disk_errors(f"read {root.digest}", directory):
        if not path.is_file():
            return
        with path.open("rb") as file:
            body = file.read(MAX_PUSHED_DOCUMENT_BYTES + 1)
    for child in parse_document(body, limit_bytes=MAX_PUSHED_DOCUMENT_BYTES).children:
        yield from _reachable(directory, child)


def _read_index(directory: Path) -> Document | None:
    path = directory / "index.json"
    with disk_errors("read index.json", directory):
        if not path.is_file():
            return None
        with path.open("rb") as file:
            body = file.read(MAX_DOCUMENT_BYTES + 1)
    try:
        return parse_document(body, media_types.OCI_INDEX)
    except ContentError as error:
        raise ContentError(f"{path}: {error}") from None


# --- writing --------------------------------------------------------------------------------------------------------


def write_layout(
    store: Store,
    image: LocalImage,
    directory: Path,
    name: str,
    on_bytes: OnBytes,
    *,
    as_it_is: bool = False,
    full_name: str = "",
) -> Descriptor:
    """Add the image under this name, and a full one with registry and tag ("": under none); an index with all its
    platforms, where all are here. Docker's manifests are written in OCI's form, unless `as_it_is`. What the layout
    names now.

    Raises ContentError where a blob is missing or damaged, DiskError.
    """
    root = (
        image.root
        if image.root.digest == image.manifest.digest or _is_whole(store, image)
        else image.manifest
    )
    with disk_errors("write the layout", directory):
        directory.mkdir(parents=True, exist_ok=True)
        if not (directory / "oci-layout").exists():
            replace_file(directory / "oci-layout", _OCI_LAYOUT, _staged(directory))
    with store.holding([root.digest]):
        named, made = (root, {}) if as_it_is else oci_form(root, partial(_read_document, store))
        _write_beneath(store, directory, named, made, on_bytes)
    _add_to_index(directory, named, {_FULL_NAME: full_name, _REF_NAME: name})
    return named


def _read_document(store: Store, digest: Digest) -> tuple[bytes, Document]:
    body = store.read(digest, MAX_PUSHED_DOCUMENT_BYTES)
    if body is None:
        raise ContentError(f"{digest} is not in the store: pull the image again")
    return body, parse_document(body, limit_bytes=MAX_PUSHED_DOCUMENT_BYTES)


def _is_whole(store: Store, image: LocalImage) -> bool:
    return all(store.size_of(digest) is not None for digest in store.needs_of(image.root.digest))


def _write_beneath(
    store: Store, directory: Path, one: Descriptor, made: dict[Digest, bytes], on_bytes: OnBytes
) -> None:
    """What it names first. `made`: documents that the store does not have."""
    if one.media_type in media_types.DOCUMENTS:
        body = made.get(one.digest) or _read_document(store, one.digest)[0]
        for child in parse_document(body, limit_bytes=MAX_PUSHED_DOCUMENT_BYTES).children:
            _write_beneath(store, directory, child, made, on_bytes)
    pieces = iter([made[one.digest]]) if one.digest in made else stored_pieces(store, one.digest)
    _write_blob(directory, one, pieces, on_bytes)


def _write_blob(directory: Path, one: Descriptor, pieces: Iterator[bytes], on_bytes: OnBytes) -> None:
    folder = directory / "blobs" / one.digest.algorithm
    target, staged = folder / one.digest.hex, _staged(directory)
    with disk_errors(f"write {one.digest}", directory):
        folder.mkdir(parents=True, exist_ok=True)
        if target.is_file() and target.stat().st_size == one.size:
            return
        try:
            with staged.open("xb") as file:
                for piece in pieces:
                    file.write(piece)
                    on_bytes(len(piece))
                file.flush()
                os.fsync(file.fileno())
            staged.rename(target)
            fsync_directory(folder)
        finally:
            staged.unlink(missing_ok=True)


def _add_to_index(directory: Path, root: Descriptor, names: dict[str, str]) -> None:
    entries: list[dict[str, Any]] = []
    with disk_errors("write index.json", directory):
        if _read_index(directory) is not None:  # it is one: what it has that we do not know stays as it is
            entries = json.loads((directory / "index.json").read_bytes())["manifests"]
        entry: dict[str, Any] = {"mediaType": root.media_type, "digest": str(root.digest), "size": root.size}
        if given := {key: name for key, name in names.items() if name}:
            entry["annotations"] = given
        kept = [one for one in entries if not _is_replaced(one, entry)]
        index = {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": [*kept, entry]}
        replace_file(directory / "index.json", json.dumps(index).encode(), _staged(directory))


def _is_replaced(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """By the fullest name that the new one has."""
    before, now = old.get("annotations") or {}, new.get("annotations") or {}
    for key in (_FULL_NAME, _REF_NAME):
        if key in now:
            return bool(before.get(key) == now[key])
    return old["digest"] == new["digest"] and not before


def _staged(directory: Path) -> Path:
    return directory / f".shoal-{os.getpid()}"
