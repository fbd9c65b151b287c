"""What a Dockerfile says, as values: stages, and the instructions in them. PURE.

Words stand as they were written, quotes and variables included: what they mean depends on the base image's environment,
so `builder.plan` expands them (words.py). Commands (RUN, CMD, ENTRYPOINT, HEALTHCHECK, SHELL) are never expanded here.
Reference: Dockerfile reference of Docker 28; BuildKit is the judge where builders differ.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """Lines of the file, from 1, both included; column of the first character that is meant, from 1."""

    line: int
    end_line: int
    column: int = 1


@dataclass(frozen=True, slots=True)
class HereDocument:
    """`name`: the delimiter; `expand`: it was not quoted; `descriptor`: N of `N<<EOF`, 0 where none stands there.

    strip_tabs: written `<<-`. A COPY's content has lost its tabs already; a RUN's stands as in the file, since the
    shell may read it again (here_documents.py).
    """

    name: str
    content: str
    expand: bool = True
    descriptor: int = 0
    strip_tabs: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """Exec form: `words`, as JSON gave them, `shell` False. Shell form: one word, the text, `shell` True.

    documents: here-documents of a RUN; the text then has the `<<EOF` as written.
    """

    words: tuple[str, ...]
    shell: bool
    documents: tuple[HereDocument, ...] = ()


@dataclass(frozen=True, slots=True)
class Instruction:
    """`text`: as progress shows it: continued lines joined, flags included, the keyword in upper case; after a RUN
    that is one here-document, its first line in parentheses.
    """

    place: Place
    text: str


@dataclass(frozen=True, slots=True)
class From(Instruction):
    """`image` and `platform` unexpanded; `stage_name` in lower case."""

    image: str
    stage_name: str | None = None
    platform: str | None = None


@dataclass(frozen=True, slots=True)
class Arg(Instruction):
    """Names with their default; None where none was given."""

    pairs: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True)
class Env(Instruction):
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Label(Instruction):
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Mount:
    """One `RUN --mount`, unexpanded but checked: kind bind, cache, tmpfs, secret or ssh. `from_` is never expanded.

    Numbers stay text where a variable may stand in them; None: not given. What has a variable is checked when it is
    expanded (`mounts.expanded_mount`, which reads `text`, the flag's value, again).
    """

    kind: str
    target: str | None = None
    source: str | None = None
    from_: str | None = None
    id: str | None = None
    read_only: bool | None = None
    sharing: str | None = None
    required: bool = False
    env: str | None = None
    mode: str | None = None
    uid: str | None = None
    gid: str | None = None
    size: str | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Run(Instruction):
    command: Command
    mounts: tuple[Mount, ...] = ()
    network: str | None = None
    security: str | None = None


@dataclass(frozen=True, slots=True)
class Copy(Instruction):
    """Sources are words or documents; the destination is the last word. `from_` is not expanded."""

    sources: tuple[str, ...]
    documents: tuple[HereDocument, ...]
    destination: str
    from_: str | None = None
    chown: str | None = None
    chmod: str | None = None
    link: bool = False
    parents: bool = False
    excludes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Add(Copy):
    """`unpack` None: what Docker does: local archives yes, URLs no."""

    checksum: str | None = None
    keep_git_dir: bool = False
    unpack: bool | None = None


@dataclass(frozen=True, slots=True)
class Cmd(Instruction):
    command: Command


@dataclass(frozen=True, slots=True)
class Entrypoint(Instruction):
    command: Command


@dataclass(frozen=True, slots=True)
class Healthcheck(Instruction):
    """`command` None: HEALTHCHECK NONE. Durations in nanoseconds, 0 where not given."""

    command: Command | None
    interval_ns: int = 0
    timeout_ns: int = 0
    start_period_ns: int = 0
    start_interval_ns: int = 0
    retries: int = 0


@dataclass(frozen=True, slots=True)
class Shell(Instruction):
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Expose(Instruction):
    ports: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class User(Instruction):
    user: str


@dataclass(frozen=True, slots=True)
class Workdir(Instruction):
    path: str


@dataclass(frozen=True, slots=True)
class Volume(Instruction):
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StopSignal(Instruction):
    signal: str


@dataclass(frozen=True, slots=True)
class Maintainer(Instruction):
    name: str


@dataclass(frozen=True, slots=True)
class OnBuild(Instruction):
    """`trigger`: the instruction's text, as the config keeps it and as it is parsed again where it fires."""

    trigger: str


@dataclass(frozen=True, slots=True)
class Stage:
    """`position`: from 0."""

    position: int
    from_: From
    instructions: tuple[Instruction, ...]

    @property
    def name(self) -> str | None:
        return self.from_.stage_name


@dataclass(frozen=True, slots=True)
class Warning:  # noqa: A001 -- what the field calls it
    """`rule`: BuildKit's name of the check (StageNameCasing, UndefinedVar, ...)."""

    rule: str
    message: str
    place: Place


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """`name`: the file's, for messages; `lines`: its text, which errors show; `global_args`: before the first FROM."""

    name: str
    lines: tuple[str, ...]
    stages: tuple[Stage, ...]
    global_args: tuple[Arg, ...] = ()
    escape: str = "\\"
    syntax: str | None = None
    check: str | None = None
    warnings: tuple[Warning, ...] = ()
