"""The OCI runtime configuration (config.json, runtime-spec 1.0.2) of one RUN. PURE.

Later mounts win over earlier ones at the same place, as in BuildKit, so a RUN can bring its own /dev/shm or /etc/hosts.
/run is no mount: what a RUN writes there stays in the image.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.run.security import Security
from builder.run.users import User

HOST_NAME = "buildkitsandbox"  # what Dockerfiles see in BuildKit
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Mount:
    """`kind`: the file system, or bind."""

    target: str
    kind: str
    source: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Process:
    arguments: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    directory: str
    user: User


@dataclass(frozen=True, slots=True)
class Isolation:
    """network: the path of a network namespace; "" a new, empty one; None the machine's own.

    cgroup: its path below each hierarchy. cgroup_namespace: only version 2 has it
    in a way that holds everywhere (hybrid hierarchies answer EINVAL).
    """

    network: str | None
    cgroup: str
    cgroup_namespace: bool


def runtime_configuration(
    root: Path, process: Process, mounts: Sequence[Mount], security: Security, isolation: Isolation
) -> dict[str, Any]:
    capabilities = list(security.capabilities)
    user = process.user
    return {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": False,
            "user": {"uid": user.uid, "gid": user.gid, "additionalGids": [user.gid, *user.groups]},
            "args": list(process.arguments),
            "env": [f"{name}={value}" for name, value in process.environment],
            "cwd": process.directory,
            "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), capabilities),
            "noNewPrivileges": False,
        },
        "root": {"path": str(root)},
        "hostname": HOST_NAME,
        "mounts": [
            {"destination": m.target, "type": m.kind, "source": m.source, "options": list(m.options)}
            for m in _last_of_each([*_own_mounts(security), *mounts])
        ],
        "linux": _linux(security, isolation),
    }


def process_environment(*groups: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Later groups win; PATH where none gives it."""
    merged = {name: value for group in groups for name, value in group}
    return tuple(({"PATH": merged.pop("PATH", DEFAULT_PATH)} | merged).items())


def _linux(security: Security, isolation: Isolation) -> dict[str, Any]:
    result: dict[str, Any] = {
        "namespaces": _namespaces(isolation),
        "maskedPaths": list(security.masked_paths),
        "readonlyPaths": list(security.read_only_paths),
        "cgroupsPath": isolation.cgroup,
        "resources": {"devices": [{"allow": not security.read_only_kernel, "access": "rwm"}]},
    }
    if security.seccomp is not None:
        result["seccomp"] = security.seccomp
    return result


def _namespaces(isolation: Isolation) -> list[dict[str, str]]:
    namespaces = [{"type": kind} for kind in ("pid", "ipc", "uts", "mount")]
    if isolation.network is not None:
        path = {"path": isolation.network} if isolation.network else {}
        namespaces.append({"type": "network"} | path)
    if isolation.cgroup_namespace:
        namespaces.append({"type": "cgroup"})
    return namespaces


def _own_mounts(security: Security) -> list[Mount]:
    harmless = ("nosuid", "noexec", "nodev")
    kernel = (*harmless, "ro") if security.read_only_kernel else harmless
    return [
        Mount("/proc", "proc", "proc", harmless),
        Mount("/dev", "tmpfs", "tmpfs", ("nosuid", "strictatime", "mode=755", "size=65536k")),
        Mount(
            "/dev/pts",
            "devpts",
            "devpts",
            ("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"),
        ),
        Mount("/dev/shm", "tmpfs", "shm", (*harmless, "mode=1777", "size=65536k")),
        Mount("/dev/mqueue", "mqueue", "mqueue", harmless),
        Mount("/sys", "sysfs", "sysfs", kernel),
        Mount("/sys/fs/cgroup", "cgroup", "cgroup", kernel),
    ]


def _last_of_each(mounts: Sequence[Mount]) -> list[Mount]:
    targets = [mount.target.rstrip("/") or "/" for mount in mounts]
    return [mount for place, mount in enumerate(mounts) if targets[place] not in targets[place + 1 :]]
