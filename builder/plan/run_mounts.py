"""`RUN --mount`: expanded, and resolved into what is mounted where. PURE.

BuildKit's convert_runmount.go: a target is relative to WORKDIR; a cache's id is its target as written, a secret's the
last part of its target.
"""

from agent.content.errors import InputError
from builder.dockerfile.instructions import Mount, Place, Run
from builder.dockerfile.mounts import expanded_mount, size_bytes
from builder.plan.stage_work import StageWork, clean
from builder.plan.steps import BindMount, CacheMount, RunMount, SecretMount, SshMount, TmpfsMount


def run_mounts(work: StageWork, instruction: Run) -> tuple[RunMount, ...]:
    """Raises InputError, DockerfileError for a `from` that is nothing."""
    place = instruction.place
    mounts: list[RunMount] = []
    for written in instruction.mounts:
        mount = expanded_mount(written, lambda value: work.word(value, place))
        sockets_before = sum(isinstance(one, SshMount) for one in mounts)
        mounts.append(_resolved(work, mount, place, sockets_before))
    return tuple(mounts)


def _resolved(work: StageWork, mount: Mount, place: Place, sockets_before: int) -> RunMount:
    match mount.kind:
        case "cache":
            return _cache(work, mount, place)
        case "tmpfs":
            return TmpfsMount(_target(work, mount), size_bytes(mount.size) if mount.size else None)
        case "secret":
            return _secret(work, mount)
        case "ssh":
            return _ssh(work, mount, sockets_before)
    source = work.file_source(mount.from_ or None, place)
    return BindMount(_target(work, mount), source, clean(mount.source or ""), mount.read_only is not False)


def _cache(work: StageWork, mount: Mount, place: Place) -> CacheMount:
    return CacheMount(
        _target(work, mount),
        mount.id or _cleaned(mount.target or ""),
        work.file_source(mount.from_, place) if mount.from_ else None,
        clean(mount.source or ""),
        mount.sharing or "shared",
        mount.read_only is True,
        int(mount.mode or "755", 8),
        *_owner(mount),
    )


def _secret(work: StageWork, mount: Mount) -> SecretMount:
    key = mount.source or mount.id or _last(mount.target or "")
    target = work.absolute(mount.target) if mount.target else None
    if target is None and not mount.env:
        target = f"/run/secrets/{_last(key)}"
    return SecretMount(key, target, mount.env, mount.required, int(mount.mode or "400", 8), *_owner(mount))


def _ssh(work: StageWork, mount: Mount, sockets_before: int) -> SshMount:
    if mount.source:
        raise InputError("an ssh mount has no source: its id says which agent's socket it is")
    target = work.absolute(mount.target) if mount.target else f"/run/buildkit/ssh_agent.{sockets_before}"
    return SshMount(
        mount.id or "default", target, mount.required, int(mount.mode or "600", 8), *_owner(mount)
    )


def _target(work: StageWork, mount: Mount) -> str:
    path = work.absolute(mount.target or "")
    if path == "/":
        raise InputError(f"--mount={mount.text}: the target is the root, which nothing can be mounted at")
    return path


def _cleaned(target: str) -> str:
    """Without WORKDIR: a cache is shared by who wrote the same."""
    return clean(target) if target.startswith("/") else clean(target)[1:] or "."


def _last(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]


def _owner(mount: Mount) -> tuple[int, int]:
    return int(mount.uid or 0), int(mount.gid or 0)
