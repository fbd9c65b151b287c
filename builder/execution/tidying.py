"""`tidy`: what builds keep for the next ones (unpacked layers, cache mounts, results) does not grow without end.

All of it can be made again: layers from the store's blobs, results by their steps; only what a cache mount has is lost,
and that is what it is for. The store's blobs are the store's own matter.
"""

from dataclasses import dataclass
from pathlib import Path

from builder.cache.local import LocalCache
from builder.execution.cache_mounts import prune_cache_mounts
from builder.layers.snapshots import Snapshots

IDLE_SECONDS = 30 * 86_400.0


@dataclass(frozen=True, slots=True)
class Tidied:
    snapshots: int
    cache_mounts: int
    results: int
    freed_bytes: int


def tidy(
    snapshots: Snapshots, local: LocalCache, mounts: Path, keep_bytes: int, idle_seconds: float = IDLE_SECONDS
) -> Tidied:
    """The least recently used snapshots beyond `keep_bytes`; cache mounts and results that were idle for so long.
    Nothing that a build uses. Raises DiskError."""
    unpacked = snapshots.prune(keep_bytes)
    caches = prune_cache_mounts(mounts, idle_seconds)
    return Tidied(
        unpacked.count, caches.count, local.forget(idle_seconds), unpacked.size_bytes + caches.size_bytes
    )
