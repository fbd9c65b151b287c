"""What `RUN --mount` asks for, as paths of this machine: `open_mounts`.

- bind: files of the context (without what .dockerignore leaves out), of an image or of a step. Written to, it is a
  layer of its own over them, which is thrown away.
- cache: a directory that outlives the build, one for each id; `locked` waits for others, `private` takes another one.
- secret, ssh: what the caller gave by id; one that is missing counts only where it is `required`.
"""

import fcntl
import hashlib
import os
import shutil
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from agent.content.errors import InputError
from agent.store.disk_errors import disk_errors
from builder.execution.blocking import held_in_threads
from builder.execution.inputs import Inputs
from builder.execution.workshop import Workshop
from builder.layers.overlay import mount_layers, unmount
from builder.plan.steps import (
    BindMount,
    CacheMount,
    ContextSource,
    FileSource,
    RunMount,
    SecretMount,
    SshMount,
    TmpfsMount,
)
from builder.run.request import ResolvedMount
from builder.run.root_path import path_in_root

_MAX_PRIVATE = 1000


@dataclass(slots=True)
class OpenMounts:
    """environment: variables that secrets are put into."""

    mounts: list[ResolvedMount] = field(default_factory=list)
    environment: list[tuple[str, str]] = field(default_factory=list)


@asynccontextmanager
async def open_mounts(
    shop: Workshop, inputs: Inputs, mounts: Sequence[RunMount]
) -> AsyncIterator[OpenMounts]:
    """Raises InputError for what is not there, DiskError."""
    opened = OpenMounts()
    async with AsyncExitStack() as stack:
        for mount in mounts:
            match mount:
                case BindMount():
                    path = await _bound(shop, inputs, mount, stack)
                    # A writable one is thrown away, so a read-only mount protects nothing but is what was asked for.
                    opened.mounts.append(ResolvedMount(mount.target, "bind", path, mount.read_only))
                case CacheMount():
                    path = await _cache(shop, inputs, mount, stack)
                    opened.mounts.append(ResolvedMount(mount.target, "bind", path, mount.read_only))
                case TmpfsMount(target, size_bytes):
                    opened.mounts.append(ResolvedMount(target, "tmpfs", size_bytes=size_bytes))
                case SecretMount():
                    _add_secret(shop, mount, opened)
                case SshMount():
                    _add_ssh(shop, mount, opened)
        yield opened


async def _bound(shop: Workshop, inputs: Inputs, mount: BindMount, stack: AsyncExitStack) -> Path:
    root = await _root(shop, inputs, mount.source, stack)
    path = path_in_root(root, mount.path)
    if not path.exists():
        raise InputError(f"--mount to {mount.target}: there is no {mount.path} in its source")
    if mount.read_only:
        return path
    home = shop.area.directory("bind")
    if path.is_dir():
        return await stack.enter_async_context(held_in_threads(_stacked(home, [path], writable=True)))
    with disk_errors("copy a mounted file", home):
        return Path(shutil.copy2(path, home / path.name))


async def _root(shop: Workshop, inputs: Inputs, source: FileSource, stack: AsyncExitStack) -> Path:
    root = await stack.enter_async_context(inputs.opened(source))
    if not isinstance(source, ContextSource) or not inputs.context(source).ignore.patterns:
        return root
    home = shop.area.directory("context")
    hidden = home / "hidden"
    with disk_errors("leave out what is ignored", home):
        hidden.mkdir()
        if not _hide(root, "", hidden, inputs, source):
            return root
    return await stack.enter_async_context(held_in_threads(_stacked(home, [hidden, root], writable=False)))


def _hide(root: Path, folder: str, hidden: Path, inputs: Inputs, source: ContextSource) -> bool:
    """A whiteout for everything in `folder` that is ignored. Whether there is any."""
    ignore = inputs.context(source).ignore
    found = False
    with os.scandir(root / folder) as entries:
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            is_directory = entry.is_dir(follow_symlinks=False)
            if ignore.matches(path) and not (is_directory and not ignore.prunes(path)):
                (hidden / folder).mkdir(parents=True, exist_ok=True)
                os.mknod(hidden / path, 0o600 | 0o020000, os.makedev(0, 0))  # overlay's whiteout
                found = True
            elif is_directory:
                found |= _hide(root, path, hidden, inputs, source)
    return found


@contextmanager
def _stacked(home: Path, directories: Sequence[Path], *, writable: bool) -> Iterator[Path]:
    """Overlay names its layers in a list with `:` and `,`: links have names without."""
    target, upper, work = home / "tree", home / "upper", home / "work"
    with disk_errors("mount files of another place", home):
        for path in (target, upper, work):
            path.mkdir()
        names = [f"l{number}" for number in range(len(directories))]
        for name, directory in zip(names, directories, strict=True):
            (home / name).symlink_to(directory.absolute())
        if len(names) == 1 and not writable:
            names.append("upper")
    mount_layers(home, names, target, (upper, work) if writable else None)
    try:
        yield target
    finally:
        unmount(target)


async def _cache(shop: Workshop, inputs: Inputs, mount: CacheMount, stack: AsyncExitStack) -> Path:
    """What it begins with is part of which one it is, as in BuildKit."""
    source, begins = None, ""
    if mount.source is not None:
        begins = inputs.identity(mount.source)
        source = path_in_root(await _root(shop, inputs, mount.source, stack), mount.path)
    which = repr((mount.key, begins, mount.path, mount.mode, mount.uid, mount.gid))
    name = hashlib.sha256(which.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    return await stack.enter_async_context(
        held_in_threads(_cache_directory(shop.mounts, name, mount, source))
    )


@contextmanager
def _cache_directory(mounts: Path, name: str, mount: CacheMount, source: Path | None) -> Iterator[Path]:
    with disk_errors("open a cache mount", mounts):
        mounts.mkdir(parents=True, exist_ok=True, mode=0o700)
        chosen, lock = _locked(mounts, name, mount.sharing)
        path = mounts / chosen
        if not path.exists():
            staged = mounts / f".{chosen}.{os.getpid()}"
            if source is None:
                staged.mkdir()
            else:
                shutil.copytree(source, staged, symlinks=True)
            staged.chmod(mount.mode)
            os.chown(staged, mount.uid, mount.gid)
            try:
                staged.rename(path)
            except OSError:
                if not path.is_dir():
                    raise
                shutil.rmtree(staged)
        os.utime(mounts / f"{chosen}.lock")
    try:
        yield path
    finally:
        os.close(lock)


def _locked(mounts: Path, name: str, sharing: str) -> tuple[str, int]:
    """Which directory, and a descriptor that locks it as long as it is open."""
    for number in range(_MAX_PRIVATE):
        chosen = f"{name}-{number}"
        fd = os.open(mounts / f"{chosen}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if sharing != "private":
            fcntl.flock(fd, fcntl.LOCK_EX if sharing == "locked" else fcntl.LOCK_SH)
            return chosen, fd
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            continue
        return chosen, fd
    raise InputError(f"more than {_MAX_PRIVATE} builds use a private cache mount at the same time")


def _add_secret(shop: Workshop, mount: SecretMount, opened: OpenMounts) -> None:
    content = shop.secrets.get(mount.key)
    if content is None:
        if mount.required:
            raise InputError(f"secret {mount.key} is required: give it by --secret id={mount.key},src=FILE")
        return
    if mount.env is not None:
        opened.environment.append((mount.env, os.fsdecode(content)))
    if mount.target is not None:
        opened.mounts.append(
            ResolvedMount(
                mount.target, "secret", content=content, mode=mount.mode, uid=mount.uid, gid=mount.gid
            )
        )


def _add_ssh(shop: Workshop, mount: SshMount, opened: OpenMounts) -> None:
    agent = shop.ssh.get(mount.key)
    if agent is None:
        if mount.required:
            raise InputError(f"an ssh agent is required: give it by --ssh {mount.key}")
        return
    opened.mounts.append(
        ResolvedMount(mount.target, "ssh", agent=agent, mode=mount.mode, uid=mount.uid, gid=mount.gid)
    )
    opened.environment.append(("SSH_AUTH_SOCK", mount.target))
