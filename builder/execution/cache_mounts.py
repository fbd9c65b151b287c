"""Cache mounts: directories that outlive builds, one for each id and each thing that it may begin with, as in BuildKit;
beside each a file whose lock says who uses it.

`<mounts>/<cache_name>-<number>/` and `...lock`. shared: many at once; locked: one, the others wait; private: one,
the others take the next number. The lock file's time is that of the last use.
"""

import fcntl
import hashlib
import os
import shutil
import time
from pathlib import Path

import trio

from agent.store.disk_errors import disk_errors
from builder.layers.copying import CopySource, copy_into
from builder.layers.snapshot_pruning import Pruned
from builder.plan.steps import CacheMount, ContextSource, CopyOperation

_MAX_PRIVATE = 1000
_POLL_SECONDS = 0.1


def cache_name(mount: CacheMount, begins: str) -> str:
    """begins: which files its source has, "" where it has none."""
    which = repr((mount.key, begins, mount.path, mount.mode, mount.uid, mount.gid))
    return hashlib.sha256(which.encode("utf-8", "surrogateescape")).hexdigest()[:32]


async def take(mounts: Path, mount: CacheMount, begins: str = "") -> tuple[Path, int]:
    """Its directory, which `fill` makes, and a descriptor that holds it as long as it is open. Raises DiskError."""
    with disk_errors("open a cache mount", mounts):
        await trio.Path(mounts).mkdir(parents=True, exist_ok=True, mode=0o700)
    name = cache_name(mount, begins)
    while (taken := _take(mounts, name, mount.sharing)) is None:  # noqa: ASYNC110 -- another process ends the wait
        await trio.sleep(_POLL_SECONDS)
    return taken


def fill(path: Path, mount: CacheMount, source: Path | None) -> None:
    """A new one, with what is in the directory `source`; it appears when it is whole. Raises InputError, DiskError."""
    with disk_errors("make a cache mount", path.parent), path.with_name("making").open("w") as making:
        fcntl.flock(making, fcntl.LOCK_EX)
        if path.exists():
            return
        staged = path.with_name(f".{path.name}")
        shutil.rmtree(staged, ignore_errors=True)
        staged.mkdir()
        if source is not None:
            everything = CopyOperation(ContextSource(), (".",), "/")
            copied = CopySource(source, is_context=isinstance(mount.source, ContextSource))
            copy_into(staged, everything, copied)
        os.chown(staged, mount.uid, mount.gid)
        staged.chmod(mount.mode)
        staged.rename(path)


def prune_cache_mounts(mounts: Path, unused_seconds: float) -> Pruned:
    """Those that nobody uses, or used in this time. Raises DiskError."""
    count = size_bytes = 0
    with disk_errors("prune the cache mounts", mounts):
        for lock in sorted(mounts.glob("*.lock")):
            with lock.open() as held:
                try:
                    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                path = lock.with_suffix("")
                if path.is_dir() and os.fstat(held.fileno()).st_mtime <= time.time() - unused_seconds:
                    count, size_bytes = count + 1, size_bytes + _size(path)
                    shutil.rmtree(path.rename(path.with_name(f".gone-{path.name}")))
    return Pruned(count, size_bytes)


def _take(mounts: Path, name: str, sharing: str) -> tuple[Path, int] | None:
    """None: somebody else has it."""
    for number in range(_MAX_PRIVATE if sharing == "private" else 1):
        chosen = mounts / f"{name}-{number}"
        with disk_errors("open a cache mount", mounts):
            fd = os.open(chosen.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, (fcntl.LOCK_SH if sharing == "shared" else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            continue
        os.utime(fd)
        return chosen, fd
    return None


def _size(directory: Path) -> int:
    return sum(path.lstat().st_blocks * 512 for path in directory.rglob("*"))
