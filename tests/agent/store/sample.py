"""Content for the store's tests: blobs, and whole images put into a store."""

import json
import random
from dataclasses import dataclass

from agent.content import media_types
from agent.content.digest import Digest
from agent.content.document import Descriptor, parse_document
from agent.content.reference import Repository
from agent.store.partial import PartialBlob
from agent.store.store import Store

KIB = 1024
ALPINE = Repository.of("docker.io", "alpine")
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
CONFIG = "application/vnd.oci.image.config.v1+json"


def blob(size: int, seed: int = 0) -> tuple[Digest, bytes]:
    data = random.Random(f"{size} {seed}").randbytes(size)
    return Digest.of(data), data


def chunk(partial: PartialBlob, data: bytes, index: int) -> memoryview:
    start, stop = partial.map.span(index)
    return memoryview(data)[start:stop]


def fill(partial: PartialBlob, data: bytes, indices: list[int] | None = None) -> None:
    for index in range(partial.map.count) if indices is None else indices:
        partial.write_chunk(index, chunk(partial, data, index), None)


@dataclass(frozen=True)
class Image:
    """A manifest with a config and layers: descriptor, body, and what it needs."""

    descriptor: Descriptor
    body: bytes
    parts: dict[Digest, bytes]

    @property
    def children(self) -> tuple[Descriptor, ...]:
        return parse_document(self.body).children

    def put(self, store: Store, repository: Repository = ALPINE) -> None:
        store.put(self.descriptor.digest, self.body)
        store.put_document(repository, self.descriptor, self.children)
        for digest, data in self.parts.items():
            store.put(digest, data)

    @property
    def size(self) -> int:
        return len(self.body) + sum(map(len, self.parts.values()))


def image(
    seed: int, layer_bytes: int = 100, layers: int = 2, media_type: str = media_types.OCI_MANIFEST
) -> Image:
    config = json.dumps({"os": "linux", "architecture": "amd64", "seed": seed}).encode()
    parts = {Digest.of(config): config} | dict(blob(layer_bytes, seed * 1000 + n) for n in range(layers))
    named = [_named(LAYER if data is not config else CONFIG, data) for data in parts.values()]
    body = _json(schemaVersion=2, mediaType=media_type, config=named[0], layers=named[1:])
    return Image(Descriptor(media_type, Digest.of(body), len(body)), body, parts)


def index_of(images: dict[str, Image]) -> Image:
    """An index over images by platform, such as `linux/amd64`; holds no parts."""
    manifests = []
    for platform, one in images.items():
        system, architecture = platform.split("/")
        entry = _named(one.descriptor.media_type, one.body)
        manifests.append(entry | {"platform": {"os": system, "architecture": architecture}})
    body = _json(schemaVersion=2, mediaType=media_types.OCI_INDEX, manifests=manifests)
    return Image(Descriptor(media_types.OCI_INDEX, Digest.of(body), len(body)), body, {})


def _named(media_type: str, data: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": str(Digest.of(data)), "size": len(data)}


def _json(**values: object) -> bytes:
    return json.dumps(values).encode()
