"""`Budget`: how many leases may run at a time, a blob and a registry, and when a registry wants none at all. Policy.

A limit is halved when the registry asks for patience (429, 503), and Retry-After holds for the whole cluster. Else it
follows how long leases take that complete while nodes wait: as long as one more lease costs the others nothing it
doubles in a round of them; once they take much longer than the fastest one of their size did, the registry is fully
used, and more of them at a time would only let every chunk arrive late (its last ones all at the end, with nobody left
to pass them on). A slow node's lease says nothing of the registry: fewer run only where none of the last few was fast.

What is read in a moment is over long before its node calls again: a small lease weighs little in a registry's limit,
else an image of many small layers would come by 16 of them a call. A node opens 16 connections at most, anyway.

Whoever refuses requests counts them: after a refusal each is for more than usual (`stretch`), which fades.

Races and checks are not counted against a blob's limit: what makes them necessary is that it is used up.
"""

from collections import deque
from dataclasses import dataclass, field

from agent.content.digest import Digest

BLOB_START = 2.0
REGISTRY_START = 16.0
_BLOB_MOST = 64.0
_REGISTRY_MOST = 256.0
_SMALL_LEASE_BYTES = 256 * 1024
_SMALL_LEASE_WEIGHT = 0.25
_BLOB_LEAST = 2.0  # while others wait: one under way while the next is handed out
# Its blobs' own limits do the rest: 32 nodes with 4 layers take 1.6 times the bound with 2, 1.2 with 8.
_REGISTRY_LEAST = 8.0
_GROW_ABOVE = 0.6
_SHRINK_BELOW = 0.3  # not above: a holder busy with its neighbours takes up to three times as long
_LAST_FEW = 4
_FASTEST_FADES_SECONDS = 120.0
_SHORTEST_LEASE_SECONDS = 0.001
_MOST_SIZES = 64
_LEAST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 600.0
_STRETCHED_BY = 4.0  # at each refusal that is news
_MOST_STRETCHED = 32.0
_STRETCH_FADES_SECONDS = 60.0
# Leases that were running when the registry began to refuse are refused one by one: that is one refusal, not many.
_HALVE_AGAIN_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class _Fastest:
    """The shortest time that a lease took. It fades, since registries become slower, too."""

    seconds: float
    at: float

    def faded(self, now: float) -> float:
        return self.seconds * 2 ** ((now - self.at) / _FASTEST_FADES_SECONDS)


@dataclass(slots=True)
class _Limit:
    limit: float
    least: float
    most: float
    running: float = 0.0
    fastest: dict[int, "_Fastest"] = field(default_factory=dict)  # of each size in bytes
    last: deque[float] = field(default_factory=lambda: deque(maxlen=_LAST_FEW))

    @property
    def has_room(self) -> bool:
        return self.running < int(self.limit)

    def on_completed(self, size: int, seconds: float, now: float) -> None:
        # Large ones are at least as fast, a byte, as small ones, whose latency weighs more.
        known = [fast.faded(now) * size / other for other, fast in self.fastest.items() if other <= size]
        fastest = min(known, default=seconds)
        own = self.fastest.get(size)
        if own is None or seconds <= own.faded(now):
            if len(self.fastest) >= _MOST_SIZES:
                self.fastest.clear()
            self.fastest[size] = _Fastest(seconds, now)
        share = min(fastest / seconds, 1.0)
        self.last.append(share)
        if share >= _GROW_ABOVE:
            self.limit = min(self.limit + 1, self.most)
        elif max(self.last) < _SHRINK_BELOW:
            self.limit = max(self.limit - 0.5, self.least)

    def halve(self) -> None:
        self.limit = max(self.limit / 2, 1.0)


def lease_weight(size: int) -> float:
    """Of a lease of `size` bytes in a registry's limit. A power of two: what is added up comes to zero again."""
    return _SMALL_LEASE_WEIGHT if size <= _SMALL_LEASE_BYTES else 1.0


class Budget:
    def __init__(self) -> None:
        self._blobs: dict[Digest, _Limit] = {}
        self._registries: dict[str, _Limit] = {}
        self._paused_until: dict[str, float] = {}
        self._halved_at: dict[str, float] = {}
        self._stretched: dict[str, float] = {}  # as of _halved_at

    def pause_seconds(self, registry: str, now: float) -> float:
        """0 where the registry may be asked."""
        until = self._paused_until.get(registry)
        return 0.0 if until is None else max(until - now, 0.0)

    def has_room(self, blob: Digest, registry: str, now: float) -> bool:
        return self.blob(blob).has_room and self.registry_has_room(registry, now)

    def registry_has_room(self, registry: str, now: float) -> bool:
        return self.pause_seconds(registry, now) == 0.0 and self.registry(registry).has_room

    def on_granted(self, blob: Digest, registry: str, weight: float, *, counts_for_blob: bool) -> None:
        self.registry(registry).running += weight
        self.blob(blob).running += counts_for_blob

    def on_ended(self, blob: Digest, registry: str, weight: float, *, counts_for_blob: bool) -> None:
        self.registry(registry).running -= weight
        self.blob(blob).running -= counts_for_blob

    def on_completed_while_others_wait(
        self, blob: Digest, registry: str, size: int, seconds: float, now: float
    ) -> None:
        """A lease of `size` bytes took `seconds`."""
        seconds = max(seconds, _SHORTEST_LEASE_SECONDS)
        self.blob(blob).on_completed(size, seconds, now)
        self.registry(registry).on_completed(size, seconds, now)

    def on_throttled(self, blob: Digest, registry: str, seconds: float, now: float) -> bool:
        """Whether this is news."""
        pause = min(max(seconds, _LEAST_PAUSE_SECONDS), _LONGEST_PAUSE_SECONDS)
        self._paused_until[registry] = max(self._paused_until.get(registry, 0.0), now + pause)
        if now - self._halved_at.get(registry, -_HALVE_AGAIN_SECONDS) < _HALVE_AGAIN_SECONDS:
            return False
        stretched = self.stretch(registry, now) * _STRETCHED_BY
        self._stretched[registry] = min(stretched, _MOST_STRETCHED)
        self._halved_at[registry] = now
        self.registry(registry).halve()
        self.blob(blob).halve()
        return True

    def stretch(self, registry: str, now: float) -> float:
        """How many times longer than usual a lease should be, so that fewer requests do."""
        if registry not in self._stretched:
            return 1.0
        faded = 2 ** ((now - self._halved_at[registry]) / _STRETCH_FADES_SECONDS)
        return max(self._stretched[registry] / faded, 1.0)

    def begin_with_one(self, blob: Digest) -> None:
        """Of few chunks the first comes alone, and is passed on that much earlier; the others come two at a time from a
        registry that is no faster than a node, since that shows beside the first."""
        self.blob(blob).limit = 1.0

    def forget_blob(self, blob: Digest) -> None:
        self._blobs.pop(blob, None)

    def blob(self, blob: Digest) -> _Limit:
        limit = self._blobs.get(blob)
        if limit is None:
            limit = self._blobs[blob] = _Limit(BLOB_START, _BLOB_LEAST, _BLOB_MOST)
        return limit

    def registry(self, registry: str) -> _Limit:
        limit = self._registries.get(registry)
        if limit is None:
            limit = self._registries[registry] = _Limit(REGISTRY_START, _REGISTRY_LEAST, _REGISTRY_MOST)
        return limit
