"""`tidy`: what builds keep for the next ones (unpacked layers, cache mounts, results) does not grow without end.

All of it can be made again: layers from the store's blobs, results by their steps; only what a cache mount has is lost,
and that is what it is for. The store's blobs are the store's own matter.
"""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from agent.store.disk_errors import disk_errors
from builder.cache.local import LocalCache
from builder.execution.cache_mounts import prune_cache_mounts
from builder.layers.snapshot_directory import SnapshotDirectory
from builder.layers.snapshot_pruning import Pruned, prune_snapshots
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
    snapshots.clean_up()
    unpacked = snapshots.prune(keep_bytes)
    caches = prune_cache_mounts(mounts, idle_seconds)
    return _told(unpacked, caches, local.forget(idle_seconds))


def tidy_all(home: Path, idle_seconds: float, forget: Callable[[float], int]) -> Tidied:
    """Beside running builds; `forget`: the results, once there is room for a database. Raises DiskError."""
    caches = prune_cache_mounts(home / "mounts", idle_seconds)
    with disk_errors("tidy up", home), closing(SnapshotDirectory(home / "snapshots")) as directory:
        directory.remove_dead()
        directory.remove_loose()
        unpacked = prune_snapshots(directory)
    return _told(unpacked, caches, forget(idle_seconds))


def _told(unpacked: Pruned, caches: Pruned, results: int) -> Tidied:
    return Tidied(unpacked.count, caches.count, results, unpacked.size_bytes + caches.size_bytes)
