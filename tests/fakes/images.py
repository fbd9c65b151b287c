"""Images for tests: layers of exactly known sizes and bytes, in every form that registries hold.

A layer's content comes from a key stream, so that it is the same in every run, does not compress, and never has to
be in memory: it is made twice, once for its digest and once while it is sent. `publish.py` brings images to a registry
or into an OCI layout.
"""

import hashlib
import json
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from agent.content.digest import Digest
from agent.content.media_types import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST

Kind = Literal["docker", "oci"]
Compression = Literal["none", "gzip"]

_PIECE_BYTES = 1 << 20
_BLOCK_BYTES = 512
_CONFIG_TYPES = {
    "docker": "application/vnd.docker.container.image.v1+json",
    "oci": "application/vnd.oci.image.config.v1+json",
}
# Docker's runtimes look at the bytes and not at the type; theirs for plain tar is little known to other tools.
_LAYER_TYPES = {
    ("docker", "none"): "application/vnd.docker.image.rootfs.diff.tar.gzip",
    ("docker", "gzip"): "application/vnd.docker.image.rootfs.diff.tar.gzip",
    ("oci", "none"): "application/vnd.oci.image.layer.v1.tar",
    ("oci", "gzip"): "application/vnd.oci.image.layer.v1.tar+gzip",
}
BUSYBOX = Path("/bin/busybox")
_APPLETS = ("sh", "cat", "ls", "echo", "true", "stat", "wc", "sha256sum", "sleep", "test")
GREETING = "it swims"


@dataclass(frozen=True, slots=True)
class Blob:
    """`pieces` makes the bytes anew at every call."""

    digest: Digest
    size_bytes: int
    pieces: Callable[[], Iterator[bytes]]

    @classmethod
    def of(cls, data: bytes) -> "Blob":
        return cls(Digest.of(data), len(data), lambda: iter([data]))


@dataclass(frozen=True, slots=True)
class Layer:
    blob: Blob
    diff_id: Digest
    compression: Compression


@dataclass(frozen=True, slots=True)
class Image:
    """A manifest with what it names; for an index `children` has the images and there is no layer."""

    manifest: Blob
    media_type: str
    blobs: tuple[Blob, ...]
    children: tuple["Image", ...] = ()

    @property
    def size_bytes(self) -> int:
        """Manifest, config and layers, each different blob once, children included."""
        different = {blob.digest: blob.size_bytes for blob in self.all_blobs()}
        return sum(different.values())

    def all_blobs(self) -> Iterator[Blob]:
        yield self.manifest
        yield from self.blobs
        for child in self.children:
            yield from child.all_blobs()


def pseudo_random(seed: str, size_bytes: int) -> Iterator[bytes]:
    """AES-CTR over zeros: some GB/s, the same for the same seed."""
    key = hashlib.sha256(seed.encode()).digest()
    stream = Cipher(algorithms.AES(key[:16]), modes.CTR(key[16:])).encryptor()
    zeros = bytes(_PIECE_BYTES)
    for start in range(0, size_bytes, _PIECE_BYTES):
        yield stream.update(zeros[: min(_PIECE_BYTES, size_bytes - start)])


def random_layer(
    seed: str, payload_bytes: int, *, compression: Compression = "none", path: str | None = None
) -> Layer:
    """One file, by default /data/<seed>, of `payload_bytes` bytes. Uncompressed, the blob is that, rounded up to
    512, and 1,536 bytes more; gzip stores without compressing and is 5 bytes in 64 KiB larger."""
    entry = tarfile.TarInfo(path or f"data/{seed}")
    entry.size, entry.mode = payload_bytes, 0o644
    return _layer(lambda: _tar([(entry, pseudo_random(seed, payload_bytes))]), compression)


def file_layer(files: Mapping[str, bytes], *, compression: Compression = "none", mode: int = 0o644) -> Layer:
    """Small files, by path."""

    def entries() -> Iterator[tuple[tarfile.TarInfo, Iterator[bytes]]]:
        for path, data in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(data), mode
            yield entry, iter([data])

    return _layer(lambda: _tar(entries()), compression)


def disk_layer(files: Mapping[str, Path], *, compression: Compression = "none") -> Layer:
    """Files of this machine by their path in the layer (at most 100 bytes long), without owners and times. They are
    read at every use, so they must stay as they are."""

    def entries() -> Iterator[tuple[tarfile.TarInfo, Iterator[bytes]]]:
        for path, source in files.items():
            status = source.stat()
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = status.st_size, 0o755 if status.st_mode & 0o100 else 0o644
            yield entry, _pieces_of(source)

    return _layer(lambda: _tar(entries()), compression)


def busybox_layer(*, compression: Compression = "none") -> Layer:
    """The machine's static busybox with links for a few applets: enough for a container to run."""
    binary = BUSYBOX.read_bytes()

    def entries() -> Iterator[tuple[tarfile.TarInfo, Iterator[bytes]]]:
        for name in ("bin", "dev", "etc", "proc", "sys", "tmp"):
            directory = tarfile.TarInfo(name)
            directory.type, directory.mode = tarfile.DIRTYPE, 0o755
            yield directory, iter(())
        program = tarfile.TarInfo("bin/busybox")
        program.size, program.mode = len(binary), 0o755
        yield program, iter([binary])
        for applet in _APPLETS:
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname, link.mode = tarfile.SYMTYPE, "busybox", 0o777
            yield link, iter(())

    return _layer(lambda: _tar(entries()), compression)


def make_image(
    layers: Sequence[Layer],
    *,
    kind: Kind = "oci",
    with_media_type: bool = True,
    architecture: str = "amd64",
    command: Sequence[str] = ("/bin/echo", GREETING),
) -> Image:
    """`with_media_type=False` leaves the manifest's own mediaType out, as Quay and older tools do."""
    configuration = {
        "created": "2026-01-01T00:00:00Z",
        "architecture": architecture,
        "os": "linux",
        "config": {"Cmd": list(command), "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [str(layer.diff_id) for layer in layers]},
        "history": [
            {"created": "2026-01-01T00:00:00Z", "created_by": f"layer {i}"} for i in range(len(layers))
        ],
    }
    config = Blob.of(_json(configuration))
    media_type = DOCKER_MANIFEST if kind == "docker" else OCI_MANIFEST
    manifest = {
        "schemaVersion": 2,
        **({"mediaType": media_type} if with_media_type else {}),
        "config": _descriptor(config, _CONFIG_TYPES[kind]),
        "layers": [_descriptor(layer.blob, _LAYER_TYPES[kind, layer.compression]) for layer in layers],
    }
    return Image(Blob.of(_json(manifest)), media_type, (config, *(layer.blob for layer in layers)))


def make_index(images: Mapping[str, Image], *, kind: Kind = "oci") -> Image:
    """An index (or Docker's manifest list) of images by platform, such as linux/arm64."""
    media_type = DOCKER_LIST if kind == "docker" else OCI_INDEX
    manifests = []
    for platform, image in images.items():
        system, architecture, *variant = platform.split("/")
        described = {
            "os": system,
            "architecture": architecture,
            **({"variant": variant[0]} if variant else {}),
        }
        manifests.append({**_descriptor(image.manifest, image.media_type), "platform": described})
    document = _json({"schemaVersion": 2, "mediaType": media_type, "manifests": manifests})
    return Image(Blob.of(document), media_type, (), tuple(images.values()))


def runnable_image(
    payload_layers: Sequence[Layer] = (), *, kind: Kind = "oci", with_media_type: bool = True
) -> Image:
    """Busybox below, then `payload_layers`; running it prints GREETING."""
    return make_image([busybox_layer(), *payload_layers], kind=kind, with_media_type=with_media_type)


def _layer(tar: Callable[[], Iterator[bytes]], compression: Compression) -> Layer:
    diff = _measured(tar)
    if compression == "none":
        return Layer(diff, diff.digest, compression)
    return Layer(_measured(lambda: _stored_gzip(tar())), diff.digest, compression)


def _measured(pieces: Callable[[], Iterator[bytes]]) -> Blob:
    hasher, size_bytes = hashlib.sha256(), 0
    for piece in pieces():
        hasher.update(piece)
        size_bytes += len(piece)
    return Blob(Digest("sha256", hasher.hexdigest()), size_bytes, pieces)


def _tar(entries: Iterable[tuple[tarfile.TarInfo, Iterator[bytes]]]) -> Iterator[bytes]:
    for entry, pieces in entries:
        yield entry.tobuf(tarfile.USTAR_FORMAT)
        yield from pieces
        yield bytes(-entry.size % _BLOCK_BYTES)
    yield bytes(2 * _BLOCK_BYTES)


def _stored_gzip(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Level 0 stores, so the bytes do not depend on zlib's version; 31 asks for a gzip header, without time."""
    compressor = zlib.compressobj(level=0, wbits=31)
    for piece in pieces:
        yield compressor.compress(piece)
    yield compressor.flush()


def _pieces_of(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            yield piece


def _descriptor(blob: Blob, media_type: str) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": str(blob.digest), "size": blob.size_bytes}


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, indent=3).encode()
