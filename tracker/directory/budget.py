"""`Budget`: how many leases may run at a time, a blob and a registry, and when a registry wants none at all. Policy.

Additive increase, multiplicative decrease, as TCP does it: a limit grows by about one a round of completed leases while
nodes wait for one, and is halved when the registry asks for patience (429, 503). Retry-After holds for the whole
cluster. Races and checks are not counted against a blob's limit: what makes them necessary is that it is used up.
"""

from dataclasses import dataclass

from agent.content.digest import Digest

BLOB_START = 4.0
REGISTRY_START = 16.0
_BLOB_MOST = 64.0
_REGISTRY_MOST = 256.0
_LEAST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 600.0
# Leases that were running when the registry began to refuse are refused one by one: that is one refusal, not many.
_HALVE_AGAIN_SECONDS = 2.0


@dataclass(slots=True)
class _Limit:
    limit: float
    most: float
    running: int = 0

    @property
    def has_room(self) -> bool:
        return self.running < int(self.limit)

    def grow(self) -> None:
        self.limit = min(self.limit + 1 / self.limit, self.most)

    def halve(self) -> None:
        self.limit = max(self.limit / 2, 1.0)


class Budget:
    def __init__(self) -> None:
        self._blobs: dict[Digest, _Limit] = {}
        self._registries: dict[str, _Limit] = {}
        self._paused_until: dict[str, float] = {}
        self._halved_at: dict[str, float] = {}

    def pause_seconds(self, registry: str, now: float) -> float:
        """0 where the registry may be asked."""
        until = self._paused_until.get(registry)
        return 0.0 if until is None else max(until - now, 0.0)

    def has_room(self, blob: Digest, registry: str, now: float) -> bool:
        return self.blob(blob).has_room and self.registry_has_room(registry, now)

    def registry_has_room(self, registry: str, now: float) -> bool:
        return self.pause_seconds(registry, now) == 0.0 and self.registry(registry).has_room

    def on_granted(self, blob: Digest, registry: str, *, counts_for_blob: bool) -> None:
        self.registry(registry).running += 1
        self.blob(blob).running += counts_for_blob

    def on_ended(self, blob: Digest, registry: str, *, counts_for_blob: bool) -> None:
        self.registry(registry).running -= 1
        self.blob(blob).running -= counts_for_blob

    def on_completed_while_others_wait(self, blob: Digest, registry: str) -> None:
        self.blob(blob).grow()
        self.registry(registry).grow()

    def on_throttled(self, blob: Digest, registry: str, seconds: float, now: float) -> bool:
        """Whether this is news."""
        pause = min(max(seconds, _LEAST_PAUSE_SECONDS), _LONGEST_PAUSE_SECONDS)
        self._paused_until[registry] = max(self._paused_until.get(registry, 0.0), now + pause)
        if now - self._halved_at.get(registry, -_HALVE_AGAIN_SECONDS) < _HALVE_AGAIN_SECONDS:
            return False
        self._halved_at[registry] = now
        self.registry(registry).halve()
        self.blob(blob).halve()
        return True

    def forget_blob(self, blob: Digest) -> None:
        self._blobs.pop(blob, None)

    def blob(self, blob: Digest) -> _Limit:
        limit = self._blobs.get(blob)
        if limit is None:
            limit = self._blobs[blob] = _Limit(BLOB_START, _BLOB_MOST)
        return limit

    def registry(self, registry: str) -> _Limit:
        limit = self._registries.get(registry)
        if limit is None:
            limit = self._registries[registry] = _Limit(REGISTRY_START, _REGISTRY_MOST)
        return limit
