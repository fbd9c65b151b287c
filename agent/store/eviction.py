"""Which content goes when room is needed. PURE: the store tells what there is, removes what is chosen.

Rules
- Least recently used first, blobs and abandoned partials alike; of equals the larger.
- What is held (by a tag, a pin, a running pull, and everything beneath those) stays.
- The quota counts what partials will take when they are whole, so that two pulls cannot both take the last gigabyte.
- The floor of free space stops our growth and never shrinks us: others filling the disk do not evict what is ours
  (a cache that reacts to other tenants' disk use throws itself away). So at most what is to be added is evicted for it.
- Nothing is evicted for a wish that cannot be met anyway; that is the store's to check with `evictable_bytes`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from agent.content.digest import Digest
from agent.store.usage import StoreLimits, Usage


@dataclass(frozen=True, slots=True)
class Candidate:
    """A blob, or an abandoned partial where `partial_stem` is set. Content that is held is no candidate."""

    digest: Digest
    size: int
    used_at: float
    partial_stem: str | None = None


def shortfall_bytes(usage: Usage, wanted_bytes: int, limits: StoreLimits) -> int:
    """How much must go before `wanted_bytes` may be added; 0 where there is room."""
    over_quota = 0
    if limits.quota_bytes is not None:
        taken = usage.blob_bytes + usage.partial_bytes + usage.promised_bytes
        over_quota = taken + wanted_bytes - limits.quota_bytes
    under_floor = limits.floor_free_bytes + usage.promised_bytes + wanted_bytes - usage.free_bytes
    if limits.floor_free_bytes <= 0:
        under_floor = 0
    return max(over_quota, min(under_floor, wanted_bytes), 0)


def choose_victims(candidates: Iterable[Candidate], needed_bytes: int) -> list[Candidate]:
    """The least recently used that together free `needed_bytes`; all of them where that is not enough."""
    victims: list[Candidate] = []
    freed = 0
    for candidate in sorted(candidates, key=lambda one: (one.used_at, -one.size, one.digest)):
        if freed >= needed_bytes:
            break
        victims.append(candidate)
        freed += candidate.size
    return victims


def evictable_bytes(candidates: Iterable[Candidate]) -> int:
    return sum(candidate.size for candidate in candidates)
