"""What is run: `ContainerRequest`, whose mounts the executor has turned into paths of this machine. PURE.

Caches and files of other stages are binds here; a secret is its bytes, which never reach a disk.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from builder.plan.steps import RunOperation
from builder.run.runtime import Runtime
from builder.run.ssh_agent import KeyAgent


@dataclass(frozen=True, slots=True)
class ResolvedMount:
    """target: absolute, in the container. source: of a bind: a directory, file or socket of this machine.

    A tmpfs has neither source nor content; size_bytes None: the kernel's default, half of the memory.
    A secret has content, mode and owner, and is always read-only. An ssh socket has mode, owner and an agent: keys, or
    the socket of an agent on this machine.
    """

    target: str
    kind: Literal["bind", "tmpfs", "secret", "ssh"]
    source: Path | None = None
    read_only: bool = False
    size_bytes: int | None = None
    content: bytes = b""
    mode: int = 0o400
    uid: int = 0
    gid: int = 0
    agent: KeyAgent | Path | None = None


@dataclass(frozen=True, slots=True)
class ContainerRequest:
    """root_fs: mounted and writable. work: an empty directory of this container alone; it is empty again afterwards.

    mounts: in the Dockerfile's order; operation.mounts, which they resolve, are not looked at.
    secret_environment: secrets that a mount puts into a variable; over everything else.
    allow_insecure: whether `--security=insecure` was granted by whoever builds.
    platform: `os/arch[/variant]` of the step, for the message where this machine cannot run its programs.
    """

    root_fs: Path
    operation: RunOperation
    work: Path
    runtime: Runtime
    mounts: tuple[ResolvedMount, ...] = ()
    secret_environment: tuple[tuple[str, str], ...] = ()
    allow_insecure: bool = False
    platform: str = ""
