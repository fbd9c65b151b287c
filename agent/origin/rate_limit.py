"""`RateLimit`: what a registry says is left of its allowance (Docker Hub: `ratelimit-remaining: 76;w=21600`). PURE."""

import re
from dataclasses import dataclass

_VALUE = re.compile(r"\s*([0-9]{1,12})\s*(?:;\s*w=([0-9]{1,9}))?.*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class RateLimit:
    """`remaining` of `limit` manifest downloads in `window_seconds`; None where it was not said."""

    registry: str
    remaining: int
    limit: int | None = None
    window_seconds: int | None = None

    @classmethod
    def parse(cls, registry: str, limit: str | None, remaining: str | None) -> "RateLimit | None":
        left = _VALUE.fullmatch(remaining or "")
        if left is None:
            return None
        most = _VALUE.fullmatch(limit or "")
        window = left[2] or (most[2] if most else None)
        return cls(registry, int(left[1]), int(most[1]) if most else None, int(window) if window else None)
