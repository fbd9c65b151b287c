"""`Step`: one node of the graph: what is done on top of which other step, and with what. PURE.

Everything is expanded and absolute here: whoever executes a step looks at no Dockerfile. A step without an operation
is a stage's beginning (an image's layers, or scratch). Instructions that change the configuration alone are no steps:
`plan` folds them into the target's config.
"""

from dataclasses import dataclass

from builder.plan.layer import Chain


@dataclass(frozen=True, slots=True)
class ImageSource:
    """The files of an image: its layers, from the lowest."""

    name: str
    layers: Chain


@dataclass(frozen=True, slots=True)
class ContextSource:
    """The files of a build context: `name` None is the main one, which .dockerignore governs."""

    name: str | None = None


@dataclass(frozen=True, slots=True)
class StepSource:
    """The files as another step leaves them; `step`: its number."""

    step: int


FileSource = ImageSource | ContextSource | StepSource


@dataclass(frozen=True, slots=True)
class InlineFile:
    """A here-document of COPY, expanded."""

    name: str
    content: str


@dataclass(frozen=True, slots=True)
class UrlFile:
    """`checksum`: as written, `sha256:<hex>`. `file_name`: what it is called in a destination directory."""

    url: str
    checksum: str | None = None
    file_name: str = ""


@dataclass(frozen=True, slots=True)
class GitSource:
    """`reference` a branch, tag or commit, "" the default; `subdirectory` "" the root."""

    url: str
    reference: str = ""
    subdirectory: str = ""
    keep_git_dir: bool = False
    checksum: str | None = None
    submodules: bool = True


@dataclass(frozen=True, slots=True)
class CopyOperation:
    """COPY and ADD: `paths` of `source`, then `inline`, `urls` and `gits`, in this order.

    paths: patterns relative to the source's root, cleaned, "." the root itself; with `parents` a "/./" may stand in
    them: what is left of it is not made at the destination. destination: absolute, ends in "/" where it must be a
    directory. mode: octal, or symbolic as written. owner: as written, names are looked up in the destination's
    /etc/passwd; None is 0:0 (what comes from ADD's tars keeps its owners then).
    """

    source: FileSource
    paths: tuple[str, ...]
    destination: str
    inline: tuple[InlineFile, ...] = ()
    urls: tuple[UrlFile, ...] = ()
    gits: tuple[GitSource, ...] = ()
    owner: str | None = None
    mode: str | None = None
    link: bool = False
    parents: bool = False
    excludes: tuple[str, ...] = ()
    unpack_archives: bool = False
    unpack_urls: bool = False


@dataclass(frozen=True, slots=True)
class BindMount:
    target: str
    source: FileSource
    path: str = "/"
    read_only: bool = True


@dataclass(frozen=True, slots=True)
class CacheMount:
    """`key`: its id, the target where none was given. sharing: shared, private or locked."""

    target: str
    key: str
    source: FileSource | None = None
    path: str = "/"
    sharing: str = "shared"
    read_only: bool = False
    mode: int = 0o755
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True, slots=True)
class TmpfsMount:
    target: str
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class SecretMount:
    """`target` None: only into the environment variable `env`."""

    key: str
    target: str | None
    env: str | None = None
    required: bool = False
    mode: int = 0o400
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True, slots=True)
class SshMount:
    key: str
    target: str
    required: bool = False
    mode: int = 0o600
    uid: int = 0
    gid: int = 0


RunMount = BindMount | CacheMount | TmpfsMount | SecretMount | SshMount


@dataclass(frozen=True, slots=True)
class ScriptFile:
    """A RUN that is one here-document with `#!`: it is at /dev/pipes/<name>, mode 0755, while it runs."""

    name: str
    content: str


@dataclass(frozen=True, slots=True)
class RunOperation:
    """arguments: what is executed, the shell included. environment: ENV and ARG, without proxies (`proxies` has them).

    user: as written, looked up in the container's /etc/passwd; "" is root. network: default, none or host.
    security: sandbox or insecure.
    """

    arguments: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    directory: str
    user: str = ""
    mounts: tuple[RunMount, ...] = ()
    network: str = "default"
    security: str = "sandbox"
    script: ScriptFile | None = None
    proxies: tuple[tuple[str, str], ...] = ()
    hosts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class MakeDirectory:
    """WORKDIR: made where it is missing, parents too; owner: the current USER, "" root."""

    path: str
    owner: str = ""


Operation = CopyOperation | RunOperation | MakeDirectory


@dataclass(frozen=True, slots=True)
class Step:
    """number: its place in the plan. base: the step below, None where a stage begins; there `layers` are (() scratch).

    title: `[stage 2/5] RUN make`, "" for the beginning from scratch, which nobody is shown. stage: for progress.
    `line`: of the Dockerfile.
    platform: `os/arch[/variant]` that it runs for. no_cache: never looked up. epoch: seconds, of the timestamps in its
    layer, which are therefore part of its key.
    """

    number: int
    title: str
    base: int | None
    layers: Chain
    operation: Operation | None
    platform: str
    stage: str = ""
    line: int = 0
    no_cache: bool = False
    epoch: int | None = None
