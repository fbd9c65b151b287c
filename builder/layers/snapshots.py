"""`Snapshots`: the layers of images and of finished steps as directories, mounted one above the other.

Every method blocks: call it in a worker thread. Steps may call side by side, and several processes may use one root.
What is on the disk, and what may be removed: snapshot_directory.py; how a layer becomes a directory: unpacking.py; what
a step changed: difference.py.
"""

import hashlib
import itertools
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Self

from agent.content.chain_id import chain_ids
from agent.content.digest import Digest
from agent.content.errors import ContentError
from agent.images.stored_blob import stored_layer
from agent.store.disk_errors import disk_errors
from agent.store.store import Store
from builder.layers.attributes import copy_directory_attributes
from builder.layers.difference import write_difference
from builder.layers.layer_output import LayerOutput
from builder.layers.overlay import mount_layers, require_root, unmount
from builder.layers.read_ahead import ReadAhead
from builder.layers.recipes import Recipe
from builder.layers.snapshot_directory import EMPTY, SnapshotDirectory, is_in_use, remove_directory
from builder.layers.snapshot_pruning import Pruned, prune_snapshots
from builder.layers.unpacking import LayerUnpacking
from builder.plan.layer import Chain, Layer


@dataclass(frozen=True, slots=True)
class WorkingTree:
    """path: where to work. upper: what changed, for those who know overlay. home: both, and overlay's own directory."""

    home: Path
    path: Path
    upper: Path


class Snapshots:
    """Use it in a `with`, or call `close`. Methods raise ContentError (a layer that is damaged or not in the store) and
    DiskError (this machine: no root, no overlay, a full disk).
    """

    def __init__(self, root: Path, store: Store) -> None:
        """Nothing is opened before it is needed: a build of which everything is known looks at none."""
        self._store = store
        self._root = root
        self._numbers = itertools.count()
        self._lock = Lock()
        self._opened: SnapshotDirectory | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._opened is not None:
            with disk_errors("close the snapshots", self._root):
                self._opened.close()

    @property
    def _directory(self) -> SnapshotDirectory:
        with self._lock:
            if self._opened is None:
                with disk_errors("open the snapshots", self._root):
                    self._opened = SnapshotDirectory(self._root)
            return self._opened

    def missing(self, chain: Chain) -> tuple[Layer, ...]:
        """The layers that must be in the store for this chain to be mounted, because no snapshot is here."""
        ids = chain_ids(layer.diff_id for layer in chain)
        return tuple(layer for layer, one in zip(chain, ids, strict=True) if not self._directory.name_of(one))

    @contextmanager
    def mounted(self, chain: Chain) -> Iterator[Path]:
        """A read-only view; what is missing is unpacked first."""
        with self._home(chain) as (home, lowers):
            tree = home / "tree"
            with _mount(self._directory.snapshots, lowers, tree, None):
                yield tree

    @contextmanager
    def writable(self, chain: Chain) -> Iterator[WorkingTree]:
        """A tree to work in. What `finish` did not take is gone afterwards."""
        with self._home(chain) as (home, lowers):
            tree = WorkingTree(home, home / "tree", home / "upper")
            with disk_errors("make a working tree", home):
                tree.upper.mkdir(mode=0o755)
                (home / "work").mkdir()
                with _opened(self._directory.snapshots / lowers[0]) as top, _opened(tree.upper) as upper:
                    copy_directory_attributes(top, upper)
                    times = os.fstat(top)
                    os.utime(upper, ns=(times.st_atime_ns, times.st_mtime_ns))
            writable = (tree.upper, home / "work")
            with _mount(self._directory.snapshots, lowers, tree.path, writable):
                yield tree

    def finish(
        self,
        tree: WorkingTree,
        chain: Chain,
        *,
        recipe: Recipe,
        epoch: int | None = None,
    ) -> Layer | None:
        """The layer of what changed in `tree`, in the store, and its snapshot; None where nothing did.

        chain: what the tree was made of. epoch: seconds; nothing in the layer is newer. The tree cannot be used any
        more.
        """
        unmount(tree.path)
        with self.mounted(chain) as lower, disk_errors("read what a step changed", tree.upper):
            layer = self._layer_of(tree.upper, lower, epoch, recipe)
        if layer is None:
            return None
        with disk_errors("keep a snapshot", self._root):
            new = chain_ids(one.diff_id for one in (*chain, layer))[-1]
            self._directory.publish(tree.upper, new, layer.plain_bytes or 0)
        return layer

    def _layer_of(self, upper: Path, lower: Path, epoch: int | None, recipe: Recipe) -> Layer | None:
        with self._store.staging() as staging, LayerOutput(staging.new(), recipe) as output:
            if not write_difference(upper, lower, epoch, output.write):
                return None
            return output.finish()

    def clean_up(self) -> None:
        """What killed processes left: mounts, work directories, half-made snapshots. No more than a look where nobody
        works; else what was made a while ago is synced, too."""
        with disk_errors("clean up the snapshots", self._root):
            if self._opened is not None or is_in_use(self._root):
                self._directory.remove_dead()
                self._directory.remove_loose()
                self._directory.settle()

    def prune(self, keep_bytes: int = 0, unused_seconds: float = 0.0) -> Pruned:
        """As prune_snapshots."""
        return prune_snapshots(self._directory, keep_bytes, unused_seconds)

    @contextmanager
    def _home(self, chain: Chain) -> Iterator[tuple[Path, list[str]]]:
        """A directory of work for one tree, and what to mount there: the topmost first."""
        require_root()
        home = self._directory.work / str(next(self._numbers))
        ids = chain_ids(layer.diff_id for layer in chain)
        with disk_errors("make a working tree", self._root):
            home.mkdir()
        try:
            with disk_errors("unpack layers", self._root):
                (home / "tree").mkdir()
                self._directory.use(home, ids)
                names = self._names(chain, ids, home)
            yield home, [*(f"{name}/f" for name in reversed(names)), *EMPTY]
        finally:
            with disk_errors("remove a working tree", home):
                remove_directory(home)

    def _names(self, chain: Chain, ids: list[Digest], home: Path) -> list[str]:
        """Of the chain's snapshots, from the lowest."""
        names = [self._directory.name_of(one) for one in ids]
        if None in names:
            with self._directory.alone(ids[names.index(None)]):
                names = [self._directory.name_of(one) for one in ids]
                self._unpack(chain, ids, names, home)
        return [name for name in names if name is not None]

    def _unpack(self, chain: Chain, ids: list[Digest], names: list[str | None], home: Path) -> None:
        """What is missing, side by side; then settled and published from the lowest. Fills `names`."""
        missing = [at for at, name in enumerate(names) if name is None]
        homes = {at: home / f"layer-{at}" for at in missing}
        if not missing:
            return
        workers = min(len(missing), len(os.sched_getaffinity(0)) + 1)
        with ThreadPoolExecutor(workers, "unpack") as pool:
            unpackings = dict(
                zip(
                    missing,
                    pool.map(self._unpack_layer, [chain[at] for at in missing], homes.values()),
                    strict=True,
                )
            )
        for at in missing:
            lowers = [self._directory.snapshots / f"{name}/f" for name in reversed(names[:at])]
            unpacking, size_bytes = unpackings[at]
            with unpacking:
                unpacking.settle(lowers)
            names[at] = self._directory.publish(homes[at], ids[at], size_bytes)

    def _unpack_layer(self, layer: Layer, root: Path) -> tuple[LayerUnpacking, int]:
        """The caller closes it. And the tar's size."""
        root.mkdir()
        hasher = hashlib.sha256()
        size_bytes = 0

        def hashed() -> Iterator[bytes]:
            nonlocal size_bytes
            for piece in stored_layer(self._store, layer.blob.digest):
                hasher.update(piece)
                size_bytes += len(piece)
                yield piece

        unpacking = LayerUnpacking(root)
        try:
            with ReadAhead(hashed()) as ahead:
                unpacking.unpack(ahead.read)
                ahead.drain()
            if not layer.diff_id.matches(hasher):
                raise ContentError(
                    f"layer {layer.blob.digest} is not the {layer.diff_id} that its image says"
                )
        except BaseException:
            unpacking.close()
            raise
        return unpacking, size_bytes


@contextmanager
def _mount(
    parent: Path, lowers: Sequence[str], target: Path, writable: tuple[Path, Path] | None
) -> Iterator[None]:
    mount_layers(parent, lowers, target, writable)
    try:
        yield
    finally:
        unmount(target)


@contextmanager
def _opened(directory: Path) -> Iterator[int]:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)
