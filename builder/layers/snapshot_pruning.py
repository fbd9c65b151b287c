"""`prune_snapshots`: unpacked layers go, the least recently used first; the store's blobs can make them again.

It needs neither the store nor a database: where the disk is full those cannot even be opened.
"""

import time
from dataclasses import dataclass

from agent.store.disk_errors import disk_errors
from builder.layers.snapshot_directory import SnapshotDirectory


@dataclass(frozen=True, slots=True)
class Pruned:
    count: int
    size_bytes: int


def prune_snapshots(directory: SnapshotDirectory, keep_bytes: int = 0, unused_seconds: float = 0.0) -> Pruned:
    """Those that nobody uses, until no more than `keep_bytes` are left; none that was used in the last
    `unused_seconds`. Raises DiskError."""
    with disk_errors("prune the snapshots", directory.snapshots):
        records = directory.records()
        excess = sum(record.size_bytes for record in records) - keep_bytes
        latest = time.time() - unused_seconds
        wanted = []
        for record in records:
            if excess > 0 and record.used_at <= latest:
                wanted.append(record)
                excess -= record.size_bytes
        gone = directory.remove(wanted)
    return Pruned(len(gone), sum(record.size_bytes for record in gone))
