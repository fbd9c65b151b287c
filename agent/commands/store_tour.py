"""`tour_lines`: how the store is built, told with an image that is in it, as a tutorial of Docker's own store does."""

from collections.abc import Iterator
from pathlib import Path

from agent.commands.quantities import counted, size_text
from agent.content.chain_id import chain_ids
from agent.content.digest import Digest
from agent.images.catalog import Catalog
from agent.images.inspection import config_of
from agent.images.local_image import LocalImage
from agent.images.names import UNTAGGED
from agent.images.stored_blob import stored_compression
from agent.store.store import Store


def tour_lines(store: Store, catalog: Catalog, reference: str | None) -> Iterator[str]:
    """Raises NotFound, InputError, ContentError."""
    usage = store.usage()
    yield f"The store is the directory {store.root}: an OCI image layout, and a few files beside it."
    yield f"It has {counted(usage.blobs, 'blob')} of together {size_text(usage.blob_bytes)}."
    yield ""
    image = _chosen(catalog, reference)
    if image is None:
        yield "There is no complete image in it yet. Pull or load one, and ask again:"
        yield "  shoal pull alpine && shoal store"
        return
    yield from _names(store, catalog, image)
    yield from _image_id(store, image)
    yield from _layers(store, image)
    yield from _beside()


def _chosen(catalog: Catalog, reference: str | None) -> LocalImage | None:
    if reference is not None:
        return catalog.find(reference).image
    complete = [image for image in catalog.images if image.complete and image.config is not None]
    return max(complete, key=lambda image: (image.tag is not None, image.pulled_at), default=None)


def _names(store: Store, catalog: Catalog, image: LocalImage) -> Iterator[str]:
    full = f"{image.repository}:{image.tag}" if image.tag else "(an image without a name)"
    yield "1. From a name to a manifest"
    yield f"   {store.root / 'index.json'}   which tags there are, for skopeo, crane, umoci, podman"
    yield f"   {store.root / 'index.db'}     the same and more: who knows what, pins, last uses (SQLite)"
    yield f"   {full if image.repository != UNTAGGED else '(an image without a name)'}"
    yield f"     is {'the index' if image.root != image.manifest else 'the manifest'} {image.root.digest}"
    if image.root.digest != image.manifest.digest:
        yield f"     which for this machine names the manifest {image.manifest.digest}"
    yield f"     in the file {_path(store, image.manifest.digest)}"
    yield "   Every blob is a file that is named by the digest of its bytes. Try:"
    yield f"     sha256sum {_path(store, image.manifest.digest)}"
    yield f"   `shoal images` calls it {catalog.shown_name(image)}:{image.tag or '<none>'}."
    yield ""


def _image_id(store: Store, image: LocalImage) -> Iterator[str]:
    config = config_of(image)
    assert image.image_id is not None
    yield "2. From the manifest to the image ID"
    yield f"   The manifest names a config and {counted(len(image.layers), 'layer')}. The config's digest is the image"
    yield "   ID, the same that Docker shows:"
    yield f"     {image.image_id}"
    yield f"     in the file {_path(store, image.image_id)}"
    yield "   It says what runs, for which platform, how the image came to be, and which layers it has, in"
    yield "   rootfs.diff_ids:"
    for number, diff_id in enumerate(config.diff_ids, 1):
        yield f"     diffID({number}) = {diff_id}"
    yield ""


def _layers(store: Store, image: LocalImage) -> Iterator[str]:
    config = config_of(image)
    yield "3. From diffIDs to blobs and chain IDs"
    yield "   A diffID is the digest of a layer's plain tar; the blob may be compressed, and then has another digest."
    yield "   A chain ID names a layer with all below it (Docker's layerdb is sorted by them):"
    yield '   chainID(1) = diffID(1), chainID(n) = sha256(chainID(n-1) + " " + diffID(n)).'
    chain = chain_ids(config.diff_ids)
    for number, layer in enumerate(image.layers):
        here = store.size_of(layer.digest) is not None
        how: str = stored_compression(store, layer.digest) if here else "not here"
        how = "not compressed" if how == "none" else how
        yield f"   layer {number + 1}: blob {layer.digest}, {size_text(layer.size)}, {how}"
        if number < len(chain):
            yield f"            diffID  {config.diff_ids[number]}"
            yield f"            chainID {chain[number]}"
    if len(chain) > 1:
        yield "   Try:"
        yield f"     printf '%s %s' {chain[0]} {config.diff_ids[1]} | sha256sum"
    if image.layers:
        yield "   and see that the plain tar of the first layer is its diffID:"
        yield f"     {_plain_command(store, image.layers[0].digest)} | sha256sum"
    yield ""


def _plain_command(store: Store, digest: Digest) -> str:
    path = _path(store, digest)
    tools = {"none": "cat", "gzip": "zcat <", "zstd": "zstdcat <", "bzip2": "bzcat <", "xz": "xzcat <"}
    how = stored_compression(store, digest) if store.size_of(digest) is not None else "none"
    return f"{tools[how]} {path}"


def _beside() -> Iterator[str]:
    yield "4. Beside it"
    beside = (
        ("partial/", "downloads on their way, chunk by chunk; resumed after a restart"),
        ("uploads/", "blobs that clients are pushing"),
        ("staging/", "content on its way from this machine: load, import, commit"),
        ("damaged", "what did not verify any more and is to be fetched again"),
    )
    for name, purpose in beside:
        yield f"   {name:<10} {purpose}"
    yield "   `shoal store verify` reads all blobs and checks their digests, `shoal store repair` fetches damaged ones"
    yield "   again."


def _path(store: Store, digest: Digest) -> Path:
    return store.root / "blobs" / digest.algorithm / digest.hex
