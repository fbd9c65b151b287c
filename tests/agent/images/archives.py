"""Image archives for tests, in the form of each tool that writes some."""

import json
from dataclasses import dataclass, field
from typing import Any

from agent.content import media_types
from agent.content.digest import Digest
from agent.images.tar_entry import Kind, TarEntry
from tests.agent.images.test_tar import Member, file, tar


@dataclass
class ArchivedSample:
    """Layers as plain tars; `config` is made of them."""

    layers: list[bytes] = field(default_factory=lambda: [tar(file("a", b"1" * 900)), tar(file("b", b"2"))])
    labels: dict[str, str] = field(default_factory=dict)

    @property
    def config(self) -> bytes:
        diff_ids = [str(Digest.of(layer)) for layer in self.layers]
        return json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "created": "2024-01-02T03:04:05Z",
                "config": {"Cmd": ["sh"], "Labels": self.labels},
                "rootfs": {"type": "layers", "diff_ids": diff_ids},
                "history": [{"created_by": f"step {number}"} for number in range(len(diff_ids))],
            }
        ).encode()

    @property
    def image_id(self) -> Digest:
        return Digest.of(self.config)


def docker_members(sample: ArchivedSample, *names: str, **entry: Any) -> list[Member]:
    """As Docker up to 24: a directory a layer; a layer that comes twice is a symlink."""
    members: list[Member] = []
    paths = []
    seen: dict[bytes, str] = {}
    for number, layer in enumerate(sample.layers):
        folder = f"{number:064x}"
        members += [(TarEntry(f"{folder}/", Kind.DIRECTORY), b""), file(f"{folder}/VERSION", b"1.0")]
        if layer in seen:
            target = f"../{seen[layer]}"
            members.append((TarEntry(f"{folder}/layer.tar", Kind.SYMLINK, link_name=target), b""))
        else:
            members.append(file(f"{folder}/layer.tar", layer))
        seen.setdefault(layer, f"{folder}/layer.tar")
        paths.append(f"{folder}/layer.tar")
    config = f"{sample.image_id.hex}.json"
    told = {"Config": config, "RepoTags": list(names) or None, "Layers": paths} | entry
    return [*members, file(config, sample.config), file("manifest.json", json.dumps([told]).encode())]


def layout_members(sample: ArchivedSample, *names: str, beside: list[Member] | None = None) -> list[Member]:
    """An OCI layout; `beside`: what else is in the archive."""
    blobs = [sample.config, *sample.layers]
    kinds = [media_types.OCI_CONFIG, *([media_types.OCI_LAYER] * len(sample.layers))]
    named = [_named(kind, blob) for kind, blob in zip(kinds, blobs, strict=True)]
    manifest = _json(schemaVersion=2, mediaType=media_types.OCI_MANIFEST, config=named[0], layers=named[1:])
    root = _named(media_types.OCI_MANIFEST, manifest)
    entries = [{**root, "annotations": {"io.containerd.image.name": name}} for name in names] or [root]
    index = _json(schemaVersion=2, mediaType=media_types.OCI_INDEX, manifests=entries)
    return [
        file("oci-layout", b'{"imageLayoutVersion": "1.0.0"}'),
        file("index.json", index),
        *[file(f"blobs/sha256/{Digest.of(blob).hex}", blob) for blob in dict.fromkeys([*blobs, manifest])],
        *(beside or []),
    ]


def _named(media_type: str, data: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": str(Digest.of(data)), "size": len(data)}


def _json(**values: object) -> bytes:
    return json.dumps(values).encode()
