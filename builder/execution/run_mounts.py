"""What `RUN --mount` asks for, as paths of this machine: `open_mounts`.

- bind: files of the context (without what .dockerignore leaves out), of an image or of a step. Written to, it is a
  layer of its own over them, which is thrown away.
- cache: a directory that outlives the build: cache_mounts.py.
- secret, ssh: what the caller gave by id; one that is missing counts only where it is `required`.
"""

import os
import shutil
import stat
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import trio

from agent.content.errors import InputError
from agent.store.disk_errors import disk_errors
from builder.dockerfile.ignore import IgnorePatterns
from builder.execution.blocking import held_in_threads
from builder.execution.cache_mounts import cache_name, fill, take
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
        caches = await _open_caches(shop, inputs, mounts, stack)
        for mount in mounts:
            match mount:
                case BindMount():
                    path = await _bound(shop, inputs, mount, stack)
                    # A writable one is thrown away, so a read-only mount protects nothing but is what was asked for.
                    opened.mounts.append(ResolvedMount(mount.target, "bind", path, mount.read_only))
                case CacheMount():
                    path = caches[_cache_name(inputs, mount)]
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
    if not await trio.to_thread.run_sync(_hide, root, home / "hidden", inputs.context(source).ignore):
        return root
    layers = [home / "hidden", root]
    return await stack.enter_async_context(held_in_threads(_stacked(home, layers, writable=False)))


def _hide(root: Path, hidden: Path, ignore: IgnorePatterns) -> bool:
    """A layer with a whiteout for everything of `root` that is ignored; what else is in it is like in `root`. Whether
    there is any."""
    with disk_errors("leave out what is ignored", hidden.parent):
        hidden.mkdir()
        found = _hide_below(root, "", hidden, ignore)
        _make_like(root, hidden)
    return found


def _hide_below(root: Path, folder: str, hidden: Path, ignore: IgnorePatterns) -> bool:
    found = False
    with os.scandir(root / folder) as entries:
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            is_directory = entry.is_dir(follow_symlinks=False)
            if ignore.matches(path) and not (is_directory and not ignore.prunes(path)):
                (hidden / folder).mkdir(parents=True, exist_ok=True)
                os.mknod(hidden / path, 0o600 | stat.S_IFCHR, os.makedev(0, 0))  # overlay's whiteout
                found = True
            elif is_directory and _hide_below(root, path, hidden, ignore):
                _make_like(root / path, hidden / path)
                found = True
    return found


def _make_like(directory: Path, other: Path) -> None:
    """Of a directory that stands in several layers, the topmost one's attributes are seen."""
    status = directory.stat()
    os.chown(other, status.st_uid, status.st_gid)
    other.chmod(stat.S_IMODE(status.st_mode))
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))


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


async def _open_caches(
    shop: Workshop, inputs: Inputs, mounts: Sequence[RunMount], stack: AsyncExitStack
) -> dict[str, Path]:
    """By name. Several are always taken in the same order: no two builds wait for each other."""
    wanted: dict[str, CacheMount] = {}
    for mount in mounts:
        if isinstance(mount, CacheMount):
            name = _cache_name(inputs, mount)
            if name not in wanted or mount.sharing == "locked":
                wanted[name] = mount
    return {name: await _cache(shop, inputs, mount, stack) for name, mount in sorted(wanted.items())}


def _cache_name(inputs: Inputs, mount: CacheMount) -> str:
    return cache_name(mount, _begins(inputs, mount))


def _begins(inputs: Inputs, mount: CacheMount) -> str:
    return "" if mount.source is None else inputs.identity(mount.source)


async def _cache(shop: Workshop, inputs: Inputs, mount: CacheMount, stack: AsyncExitStack) -> Path:
    source = None
    if mount.source is not None:
        source = path_in_root(await _root(shop, inputs, mount.source, stack), mount.path)
        if not source.is_dir():
            raise InputError(f"--mount to {mount.target}: there is no directory {mount.path} in its source")
    path, lock = await take(shop.mounts, mount, _begins(inputs, mount))
    stack.callback(os.close, lock)
    await trio.to_thread.run_sync(fill, path, mount, source)
    return path


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
