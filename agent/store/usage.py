"""How much room the store may take, and how much it takes. PURE."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """quota_bytes: what blobs and partials together may take; None: no limit of our own.

    floor_free_bytes: what must stay free on the file system after whatever we add.
    tags_hold_seconds: a tag last checked longer ago no longer keeps its image from eviction; None: every tag does.
    upload_seconds: how long an upload without a byte is kept.
    """

    quota_bytes: int | None = None
    floor_free_bytes: int = 0
    tags_hold_seconds: float | None = None
    upload_seconds: float = 24 * 3600.0

    @property
    def are_set(self) -> bool:
        return self.quota_bytes is not None or self.floor_free_bytes > 0


@dataclass(frozen=True, slots=True)
class Usage:
    """promised_bytes: what partials that are being filled will still take. partial_bytes: what partials and uploads
    take now.
    """

    blob_bytes: int
    partial_bytes: int
    promised_bytes: int
    blobs: int
    partials: int
    free_bytes: int
    quota_bytes: int | None
