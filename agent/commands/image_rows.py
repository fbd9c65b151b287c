"""The images of a store as rows: what `shoal images` filters and prints, in Docker's words."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

from agent.commands.quantities import ago_text, size_text
from agent.content.errors import InputError
from agent.images.catalog import Catalog
from agent.images.local_image import LocalImage

NONE = "<none>"
_FILTERS = ("reference", "before", "since", "dangling", "label")


@dataclass(frozen=True, slots=True)
class ImageRow:
    image: LocalImage
    name: str

    @property
    def tag(self) -> str:
        return self.image.tag or NONE

    def id_text(self, *, whole: bool) -> str:
        digest = self.image.image_id
        if digest is None:
            return NONE
        return str(digest) if whole else digest.short

    def fields(self, now: float, *, whole: bool) -> dict[str, Any]:
        """What a template of `--format` may name: Docker's."""
        created = self.image.created_at
        size = size_text(self.image.size)
        return {
            "ID": self.id_text(whole=whole),
            "Repository": self.name,
            "Tag": self.tag,
            "Digest": str(self.image.root.digest),
            "CreatedSince": NONE if created is None else ago_text(max(now - created, 0.0)),
            "CreatedAt": NONE if created is None else created_text(created),
            "Size": size if self.image.complete else f"{size} (incomplete)",
            "VirtualSize": size,
            "SharedSize": "N/A",
            "UniqueSize": "N/A",
            "Containers": "N/A",
        }

    def as_json(self) -> dict[str, Any]:
        """Documented in docs/commands.md."""
        image = self.image
        return {
            "repository": str(image.repository),
            "tag": image.tag,
            "image_id": None if image.image_id is None else str(image.image_id),
            "digest": str(image.root.digest),
            "media_type": image.root.media_type,
            "size": image.size,
            "complete": image.complete,
            "created_at": None if image.created_at is None else _iso(image.created_at),
            "pulled_at": _iso(image.pulled_at),
        }


def image_rows(catalog: Catalog, name: str | None, filters: Sequence[str]) -> list[ImageRow]:
    """Newest first. `name`: NAME[:TAG], wildcards allowed. Raises InputError, NotFound for what a filter names."""
    wanted = [_parse(text) for text in filters] + ([("reference", name)] if name else [])
    rows = [ImageRow(image, catalog.shown_name(image)) for image in catalog.images]
    by_kind: dict[str, list[str]] = {}
    for kind, value in wanted:
        by_kind.setdefault(kind, []).append(value)
    rows = [
        row for row in rows if all(_passes(row, kind, values, catalog) for kind, values in by_kind.items())
    ]
    return sorted(rows, key=lambda row: (-(row.image.created_at or 0.0), row.name, row.tag))


def _parse(text: str) -> tuple[str, str]:
    kind, equals, value = text.partition("=")
    if not equals or kind not in _FILTERS:
        raise InputError(f"invalid filter {text[:100]!r}: expected one of {', '.join(_FILTERS)} and =VALUE")
    if kind == "dangling" and value not in ("true", "false"):
        raise InputError(f"invalid filter {text[:100]!r}: dangling is true or false")
    return kind, value


def _passes(row: ImageRow, kind: str, values: list[str], catalog: Catalog) -> bool:
    match kind:
        case "reference":
            return any(_matches(row, value) for value in values)
        case "dangling":
            return (row.image.tag is None) == (values[-1] == "true")
        case "label":
            return all(_has_label(row.image, value) for value in values)
        case _:
            limits = [catalog.find(value).image.created_at or 0.0 for value in values]
            created = row.image.created_at or 0.0
            return created < min(limits) if kind == "before" else created > max(limits)


def _matches(row: ImageRow, pattern: str) -> bool:
    """Docker's rule: of the familiar name, with or without the tag; a `*` does not pass a slash."""
    full, tagged = str(row.image.repository), f":{row.tag}"
    candidates = (row.name, row.name + tagged, full, full + tagged)
    return any(name.count("/") == pattern.count("/") and fnmatchcase(name, pattern) for name in candidates)


def _has_label(image: LocalImage, wanted: str) -> bool:
    key, equals, value = wanted.partition("=")
    labels = {} if image.config is None else image.config.labels
    return key in labels and (not equals or labels[key] == value)


def created_text(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S +0000 UTC")


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
