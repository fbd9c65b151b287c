"""What the fake registry holds: blobs (in memory, or on disk where it is given a directory), manifests, tags."""

import hashlib
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.content.digest import Digest
from agent.content.media_types import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST

_DOCKER_TYPES = (
    "application/vnd.docker.container.image.v1+json",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
)
_OCI_TYPES = ("application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar+gzip")


@dataclass(frozen=True)
class FakeImage:
    """An image as it was put there; `digest` and `body` are the manifest's."""

    repository: str
    tag: str
    body: bytes
    media_type: str
    digest: Digest
    config: bytes
    layers: tuple[bytes, ...]

    @property
    def layer_digests(self) -> tuple[Digest, ...]:
        return tuple(Digest.of(layer) for layer in self.layers)

    @property
    def size(self) -> int:
        return len(self.body) + len(self.config) + sum(map(len, self.layers))


@dataclass
class Held:
    """A manifest or index under one repository."""

    body: bytes
    media_type: str


@dataclass
class Upload:
    """A push in progress; `file` is on disk where the registry is."""

    file: Any
    hasher: Any = field(default_factory=hashlib.sha256)
    size: int = 0

    def write(self, data: bytes) -> None:
        self.file.write(data)
        self.hasher.update(data)
        self.size += len(data)


class Shelf:
    """Everything held. With a directory, blobs are files in it, named by their digest."""

    def __init__(self, directory: Path | None = None) -> None:
        self.directory = directory
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[tuple[str, str], Held] = {}
        self.tags: dict[str, dict[str, str]] = {}

    def add_blob(self, data: bytes) -> Digest:
        digest = Digest.of(data)
        if self.directory is None:
            self.blobs[str(digest)] = data
        else:
            (self.directory / digest.hex).write_bytes(data)
        return digest

    def size_of(self, digest: str) -> int | None:
        path = self._path(digest)
        if path is not None:
            return path.stat().st_size if path.is_file() else None
        return len(self.blobs[digest]) if digest in self.blobs else None

    def read(self, digest: str, start: int, stop: int) -> bytes:
        path = self._path(digest)
        if path is None:
            return self.blobs[digest][start:stop]
        with path.open("rb") as file:
            file.seek(start)
            return file.read(stop - start)

    def _path(self, digest: str) -> Path | None:
        return None if self.directory is None else self.directory / Digest.parse(digest).hex

    def new_upload(self) -> Upload:
        return Upload(tempfile.NamedTemporaryFile(dir=self.directory, prefix="upload-", delete=False)
                      if self.directory else tempfile.SpooledTemporaryFile(max_size=1 << 26))  # fmt: skip

    def commit(self, upload: Upload, digest: str) -> bool:
        """False where the bytes are not what the digest says."""
        matches = f"sha256:{upload.hasher.hexdigest()}" == digest
        if self.directory is None:
            upload.file.seek(0)
            if matches:
                self.blobs[digest] = upload.file.read()
            upload.file.close()
            return matches
        upload.file.close()
        path = Path(upload.file.name)
        if matches:
            path.rename(self.directory / digest.partition(":")[2])
        else:
            path.unlink()
        return matches

    def put_manifest(self, repository: str, target: str, body: bytes, media_type: str) -> Digest:
        """`target` is a tag or the digest itself."""
        digest = Digest.of(body)
        self.manifests[repository, str(digest)] = Held(body, media_type)
        if ":" not in target:
            self.tags.setdefault(repository, {})[target] = str(digest)
        return digest

    def find_manifest(self, repository: str, target: str) -> tuple[str, Held] | None:
        digest = target if ":" in target else self.tags.get(repository, {}).get(target, "")
        held = self.manifests.get((repository, digest))
        return (digest, held) if held else None

    def add_image(
        self,
        repository: str = "library/app",
        tag: str = "latest",
        layers: Sequence[bytes] = (b"layer one", b"layer two"),
        *,
        oci: bool = False,
        tells_media_type: bool = True,
        config: dict[str, Any] | None = None,
    ) -> FakeImage:
        """An image of the given layer blobs (bytes as they are, no tar needed for tests of transport)."""
        diff_ids = [str(Digest.of(layer)) for layer in layers]
        config_body = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "rootfs": {"type": "layers", "diff_ids": diff_ids},
                **(config or {}),
            }
        ).encode()
        config_type, layer_type = _OCI_TYPES if oci else _DOCKER_TYPES
        media_type = OCI_MANIFEST if oci else DOCKER_MANIFEST
        document: dict[str, Any] = {"schemaVersion": 2}
        if tells_media_type:
            document["mediaType"] = media_type
        document["config"] = self._describe(config_body, config_type)
        document["layers"] = [self._describe(layer, layer_type) for layer in layers]
        body = json.dumps(document, indent=3).encode()
        digest = self.put_manifest(repository, tag, body, media_type)
        return FakeImage(repository, tag, body, media_type, digest, config_body, tuple(layers))

    def add_index(
        self, repository: str, tag: str, images: dict[str, FakeImage], *, oci: bool = True
    ) -> tuple[Digest, bytes]:
        """An index of `os/arch[/variant]` -> image."""
        entries = []
        for platform, image in images.items():
            system, architecture, *variant = platform.split("/")
            told = {
                "os": system,
                "architecture": architecture,
                **({"variant": variant[0]} if variant else {}),
            }
            entry = {"mediaType": image.media_type, "digest": str(image.digest), "size": len(image.body)}
            entries.append({**entry, "platform": told})
            self.put_manifest(repository, str(image.digest), image.body, image.media_type)
        media_type = OCI_INDEX if oci else DOCKER_LIST
        body = json.dumps({"schemaVersion": 2, "mediaType": media_type, "manifests": entries}).encode()
        return self.put_manifest(repository, tag, body, media_type), body

    def _describe(self, data: bytes, media_type: str) -> dict[str, Any]:
        return {"mediaType": media_type, "size": len(data), "digest": str(self.add_blob(data))}
