"""`Workshop`: what carrying out a plan needs from outside of it: where files are, and what the caller granted."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import trio

from agent.store.store import Store
from builder.cache.cluster import ClusterCache
from builder.cache.local import LocalCache
from builder.execution.work_area import WorkArea
from builder.layers.content_digests import ContentDigests
from builder.layers.recipes import Recipe
from builder.layers.snapshots import Snapshots
from builder.progress.events import Reporter, Task
from builder.run.ssh_agent import KeyAgent
from builder.sources.context import BuildContext


@dataclass(frozen=True, slots=True)
class Workshop:
    """contexts: by name, None the main one. mounts: where cache mounts live. cluster None: nobody to share with.

    secrets: by id. ssh: by id, an agent's socket, or keys. allow_insecure: whether `--security=insecure` was granted.
    recipe: of the image's layers; quick: of those that only other steps read, where the smallest is not worth its time.
    environment: PATH, HOME and so on of the caller, for git. salt: what a result depends on beside its step.
    context_task: the one that the contexts were loaded in.
    """

    store: Store
    snapshots: Snapshots
    digests: ContentDigests
    local: LocalCache
    cluster: ClusterCache | None
    contexts: Mapping[str | None, BuildContext]
    area: WorkArea
    mounts: Path
    reporter: Reporter
    recipe: Recipe
    quick: Recipe
    salt: str
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    ssh: Mapping[str, KeyAgent | Path] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    allow_insecure: bool = False
    keep_times: bool = False
    context_task: Task | None = None
    limiter: trio.CapacityLimiter = field(
        default_factory=lambda: trio.CapacityLimiter(max(2, len(os.sched_getaffinity(0))))
    )
