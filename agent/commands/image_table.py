"""The images of a store as a table in Docker's style, and as JSON."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from agent.commands.quantities import ago_text, size_text
from agent.store.store import ImageRecord

_HEAD = ("REPOSITORY", "TAG", "DIGEST", "SIZE", "PULLED")
_GAP = "   "


def image_table(images: Sequence[ImageRecord], now: float, *, whole_digests: bool) -> list[str]:
    """`now`: seconds since the epoch. The first line is the head."""
    rows = [_HEAD, *(_row(image, now, whole_digests) for image in images)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        _GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def digest_text(image: ImageRecord, *, whole: bool) -> str:
    return str(image.digest) if whole else image.digest.short


def image_json(image: ImageRecord) -> dict[str, Any]:
    """Documented in docs/commands.md."""
    return {
        "repository": str(image.repository),
        "tag": image.tag,
        "digest": str(image.digest),
        "media_type": image.media_type,
        "size": image.size,
        "complete": image.complete,
        "pulled_at": datetime.fromtimestamp(image.pulled_at, UTC).isoformat(timespec="seconds"),
    }


def _row(image: ImageRecord, now: float, whole_digests: bool) -> tuple[str, ...]:
    return (
        image.repository.familiar,
        image.tag or "<none>",
        digest_text(image, whole=whole_digests),
        size_text(image.size) + ("" if image.complete else " (incomplete)"),
        ago_text(max(now - image.pulled_at, 0.0)),
    )
