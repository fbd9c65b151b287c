"""Manifests and indexes as values: `Descriptor`, `Document`, and the one parser for both.

Invariant: a Document came from bytes that are unambiguously a manifest or an index (OCI image-spec 1.1 manifest.md,
image-index.md; Docker schema 2). A body that is both at once, or whose Content-Type contradicts its mediaType, is
refused: two readers could take it for different images (GHSA-77vh-xpmg-72qh). So is one with a key twice, or in other
letters' case (Go's parser, which the clients use, takes `Layers` for `layers`). A missing mediaType is fine: Quay sends
such ones, and the structure tells; and a list that is null counts as missing, as Go writes an empty one so. The bytes
themselves are kept elsewhere; nothing is ever re-serialised.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from agent.content import media_types
from agent.content.digest import Digest
from agent.content.errors import ContentError, InputError
from agent.content.platform import Platform

MAX_DOCUMENT_BYTES = 4 * 1024 * 1024
MAX_PUSHED_DOCUMENT_BYTES = 8 * 1024 * 1024  # of the cluster's own images: whoever pushes more than 4 MiB may
_MAX_DESCRIPTORS = 10_000
_MAX_BLOB_BYTES = 1 << 46
_TELLING_KEYS = frozenset({"schemaVersion", "mediaType", "manifests", "config", "layers", "fsLayers"})
_LOOKALIKES = frozenset(key.lower() for key in _TELLING_KEYS)


@dataclass(frozen=True, slots=True)
class Descriptor:
    """Names content: what it is, its digest, its exact size in bytes."""

    media_type: str
    digest: Digest
    size: int
    platform: Platform | None = None
    annotations: dict[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Document:
    """A manifest (`config`, `layers`) or an index (`manifests`); `media_type` is always set."""

    media_type: str
    manifests: tuple[Descriptor, ...] = ()
    config: Descriptor | None = None
    layers: tuple[Descriptor, ...] = ()
    subject: Descriptor | None = None
    artifact_type: str | None = None
    annotations: dict[str, str] = field(default_factory=dict, hash=False)

    @property
    def is_index(self) -> bool:
        return self.media_type in media_types.INDEXES

    @property
    def children(self) -> tuple[Descriptor, ...]:
        """Everything the document needs: an index's manifests; a manifest's config and layers."""
        return self.manifests if self.is_index else ((self.config,) if self.config else ()) + self.layers

    def pick(self, platform: Platform) -> Descriptor | None:
        """An index's best entry for `platform`, the first of equals; None where nothing fits."""
        scored = [
            (platform.fits(entry.platform), -n, entry)
            for n, entry in enumerate(self.manifests)
            if entry.platform
        ]
        best = max(scored, key=lambda item: item[:2], default=None)
        return best[2] if best and best[0] > 0 else None


def parse_document(
    body: bytes, content_type: str | None = None, limit_bytes: int = MAX_DOCUMENT_BYTES
) -> Document:
    """Parse the bytes of a manifest or an index.

    `content_type` is the header that came with them, where one did. Raises ContentError with the reason.
    """
    if len(body) > limit_bytes:
        raise ContentError(f"manifest of {len(body)} bytes: at most {limit_bytes} are accepted")
    raw = _load(body)
    version = raw.get("schemaVersion")
    if type(version) is not int or version != 2:
        shown = str(version)[:20] if type(version) in (int, float, str) else type(version).__name__
        raise ContentError(f"manifest has schemaVersion {shown}: only 2 is supported")
    try:
        media_type = _media_type(raw, content_type)
        return _index(raw, media_type) if media_type in media_types.INDEXES else _manifest(raw, media_type)
    except InputError as error:
        raise ContentError(f"manifest is malformed: {error}") from None


def _load(body: bytes) -> dict[str, Any]:
    """RFC 8259 to the letter: UTF-8, no key twice, no NaN."""
    try:
        raw = json.loads(body.decode(), object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ContentError(f"manifest is not JSON: {str(error)[:100]}") from None
    if not isinstance(raw, dict):
        raise ContentError("manifest is not a JSON object")
    for key in raw:
        if key not in _TELLING_KEYS and key.lower() in _LOOKALIKES:
            raise ContentError(f"manifest has the key {key[:20]!r}, which some would take for another")
    return raw


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) != len(pairs):
        raise ValueError("an object has the same key twice")
    return unique


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _media_type(raw: dict[str, Any], content_type: str | None) -> str:
    looks_index = raw.get("manifests") is not None
    looks_manifest = any(raw.get(key) is not None for key in ("config", "layers", "fsLayers"))
    if looks_index == looks_manifest:
        both = "both a manifest and an index" if looks_index else "neither a manifest nor an index"
        raise ContentError(f"document is {both}")
    header = (content_type or "").split(";")[0].strip().lower()
    told = _text(raw, "mediaType") or (header if header in media_types.DOCUMENTS else None)
    if told is None:
        told = media_types.OCI_INDEX if looks_index else _guess_manifest(raw)
    if told not in media_types.DOCUMENTS:
        raise ContentError(f"unsupported manifest media type {told[:100]!r}")
    if (told in media_types.INDEXES) != looks_index:
        raise ContentError(f"document says {told} but is {'an index' if looks_index else 'a manifest'}")
    if header in media_types.DOCUMENTS and header != told:
        raise ContentError(f"Content-Type {header} contradicts mediaType {told}")
    return told


def _guess_manifest(raw: dict[str, Any]) -> str:
    config = raw.get("config")
    kind = config.get("mediaType", "") if isinstance(config, dict) else ""
    docker = isinstance(kind, str) and kind.startswith("application/vnd.docker.")
    return media_types.DOCKER_MANIFEST if docker else media_types.OCI_MANIFEST


def _index(raw: dict[str, Any], media_type: str) -> Document:
    return Document(
        media_type,
        manifests=_descriptors(raw["manifests"], "manifests"),
        subject=_optional(raw, "subject"),
        artifact_type=_text(raw, "artifactType"),
        annotations=_own_annotations(raw),
    )


def _manifest(raw: dict[str, Any], media_type: str) -> Document:
    if not isinstance(raw.get("config"), dict):
        raise InputError("config is missing")
    return Document(
        media_type,
        config=_descriptor(raw["config"], "config"),
        layers=_descriptors([] if raw.get("layers") is None else raw["layers"], "layers"),
        subject=_optional(raw, "subject"),
        artifact_type=_text(raw, "artifactType"),
        annotations=_own_annotations(raw),
    )


def _own_annotations(raw: dict[str, Any]) -> dict[str, str]:
    """Of the document itself: for people, so what is no text is passed over and no reason to refuse it."""
    told = raw.get("annotations")
    items = told.items() if isinstance(told, dict) else ()
    return {key: text for key, text in items if isinstance(text, str)}


def _optional(raw: dict[str, Any], key: str) -> Descriptor | None:
    return None if raw.get(key) is None else _descriptor(raw[key], key)


def _text(raw: dict[str, Any], key: str) -> str | None:
    value = raw.get(key)
    if value is not None and not (isinstance(value, str) and value.isprintable()):
        raise InputError(f"{key} is not a printable string")
    return value


def _descriptors(raw: Any, where: str) -> tuple[Descriptor, ...]:
    if not isinstance(raw, list) or len(raw) > _MAX_DESCRIPTORS:
        raise InputError(f"{where} is not a list of at most {_MAX_DESCRIPTORS} descriptors")
    return tuple(_descriptor(item, f"{where}[{n}]") for n, item in enumerate(raw))


def _descriptor(raw: Any, where: str) -> Descriptor:
    if not isinstance(raw, dict) or not isinstance(raw.get("digest"), str):
        raise InputError(f"{where} is not a descriptor")
    size = raw.get("size")
    if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= _MAX_BLOB_BYTES:
        raise InputError(f"{where} has an invalid size")
    annotations = {} if raw.get("annotations") is None else raw["annotations"]
    if not isinstance(annotations, dict) or not all(isinstance(text, str) for text in annotations.values()):
        raise InputError(f"{where} has invalid annotations")
    return Descriptor(
        media_type=_text(raw, "mediaType") or media_types.OCTET_STREAM,
        digest=Digest.parse(raw["digest"]),
        size=size,
        platform=_platform(raw.get("platform"), where),
        annotations=annotations,
    )


def _platform(raw: Any, where: str) -> Platform | None:
    if raw is None:
        return None
    if not isinstance(raw, dict):
        raise InputError(f"{where} has an invalid platform")
    system, architecture, variant = _text(raw, "os"), _text(raw, "architecture"), _text(raw, "variant")
    return Platform(system or "", architecture or "", variant or None)
