"""What registries say is left of their allowance (Docker Hub: `ratelimit-remaining: 76;w=21600`). PURE."""

import re
from collections.abc import Callable, Mapping
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


class RateLimits:
    """The last word of each registry that said one; `on_rate_limit` hears each."""

    def __init__(self, on_rate_limit: Callable[[RateLimit], None] | None = None) -> None:
        self.latest: dict[str, RateLimit] = {}
        self._on_rate_limit = on_rate_limit

    def note(self, registry: str, headers: Mapping[str, str]) -> None:
        limit = RateLimit.parse(registry, headers.get("ratelimit-limit"), headers.get("ratelimit-remaining"))
        if limit is not None:
            self.latest[registry] = limit
            if self._on_rate_limit is not None:
                self._on_rate_limit(limit)
