"""`shoal build`: Docker's flags, BuildKit's progress; the image is in this node's store, and seeded as it is built."""

import json
import os
import re
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from agent.commands.announcing import tell_untold
from agent.commands.exit_codes import FAILURE, exit_code_of
from agent.commands.local_store import store_at_hand, told_failures
from agent.commands.running import config_flag, finish_or_end, load, run_async
from agent.commands.sectioned_command import SectionedCommand
from agent.content.errors import InputError, ShoalError
from agent.content.platform import Platform
from agent.content.redaction import redact
from agent.settings.flags import settings_flags
from agent.settings.settings import Settings
from agent.store.store import Store
from builder.dockerfile.instructions import Dockerfile
from builder.output import Output, parse_output
from builder.progress.events import View
from builder.request import (
    BuildRequest,
    parse_hosts,
    parse_pairs,
    parse_secrets,
    parse_ssh,
)

if TYPE_CHECKING:
    from builder.build import BuildOutcome
    from builder.execution.step_failure import StepFailed

# The name of a file is no field, whatever it is called: `"/token": not found`, `/etc/passwd: it is a file`.
_FILE_NAME = re.compile(r"""(/[^\s:"']{1,4096}["']?)(: )""")
_NO_FIELD = "\ue000"
_GRANTS = ("network.host", "security.insecure")


@click.command(cls=SectionedCommand)
@click.argument("context", metavar="PATH|URL|-")
@click.option("--tag", "-t", "tags", multiple=True, metavar="NAME[:TAG]", help="Name of the image.")
@click.option(
    "--file", "-f", metavar="FILE", help="The Dockerfile; - is standard input. [default: PATH/Dockerfile]"
)
@click.option("--target", metavar="STAGE", help="Build this stage. [default: the last one]")
@click.option("--build-arg", "build_args", multiple=True, metavar="NAME[=VALUE]", help="Value of an ARG.")
@click.option(
    "--build-context",
    "contexts",
    multiple=True,
    metavar="NAME=WHERE",
    help="Directory, URL, docker-image://REF or oci-layout://DIRECTORY[:NAME].",
)
@click.option("--label", "labels", multiple=True, metavar="NAME[=VALUE]", help="Label of the image.")
@click.option(
    "--secret",
    "secrets",
    multiple=True,
    metavar="id=NAME,src=FILE|env=VAR",
    help="Secret for RUN --mount=type=secret.",
)
@click.option(
    "--ssh",
    "ssh",
    multiple=True,
    metavar="default|ID=SOCKET|KEY",
    help="ssh agent, or keys, for RUN --mount=type=ssh.",
)
@click.option(
    "--platform", "platforms", metavar="OS/ARCH,...", help="Several make an index. [default: this machine's]"
)
@click.option(
    "--network",
    type=click.Choice(["default", "none", "host"]),
    default="default",
    help="Network of every RUN.",
)
@click.option(
    "--add-host", "hosts", multiple=True, metavar="NAME:ADDRESS", help="Line of /etc/hosts in every RUN."
)
@click.option(
    "--allow", "allow", multiple=True, type=click.Choice(_GRANTS), help="Let the Dockerfile ask for it."
)
@click.option("--no-cache", is_flag=True, help="Carry out every step again.")
@click.option("--no-cache-filter", metavar="STAGE,...", help="Carry out these stages again.")
@click.option("--pull", is_flag=True, help="Ask for newer base images, even where they are here.")
@click.option(
    "--output", "-o", "outputs", multiple=True, metavar="OUTPUT",
    help="type=image, oci, docker, tar, local or cacheonly, with dest=PATH, compression=zstd, push=true and so on. "
    "[default: type=image, the store]",
)  # fmt: skip
@click.option("--push", is_flag=True, help="The same as --output type=registry.")
@click.option("--load", is_flag=True, help="The same as --output type=image.")
@click.option("--squash", is_flag=True, help="One layer for all that the build adds.")
@click.option(
    "--compression", type=click.Choice(["gzip", "zstd", "none"]), default="gzip",
    help="Of new layers; gzip is read by every engine. [default: gzip]",
)  # fmt: skip
@click.option(
    "--keep-times", is_flag=True, help="Real times in layers and history; the digest differs every time."
)
@click.option("--iidfile", metavar="FILE", help="Write the image's ID here.")
@click.option("--metadata-file", metavar="FILE", help="Write what was built here, as JSON.")
@click.option(
    "--progress", type=click.Choice(["auto", "plain", "tty", "rawjson", "quiet"]), default="auto",
    help="How to show what happens, on standard error. [default: auto]",
)  # fmt: skip
@click.option("--quiet", "-q", is_flag=True, help="Print the image's ID alone.")
@click.option("--check", is_flag=True, help="Look for mistakes in the Dockerfile, and build nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end.")
@config_flag
@settings_flags("node", "store", "tracker", "admin", "build", "credentials", "upstreams")
def build(config_file: Path | None, **flags: Any) -> None:
    """Build an image from a Dockerfile, as `docker build` does; every layer is a seed as soon as its step ends.

    PATH is a directory, URL a git repository or a tar, - a tar or a Dockerfile on standard input. The same input gives
    the same digest: times are those of SOURCE_DATE_EPOCH (a build argument), else of the base image.

    \b
    Examples:
      shoal build -t team/app:1 .
      shoal build --target test --build-arg VERSION=3 -f deploy/Dockerfile .
      shoal build --secret id=token,env=TOKEN --progress plain -o type=oci,dest=app.tar .
      git archive HEAD | shoal build -t team/app:1 -

    Exit codes: 0 done, 1 a RUN failed or --check found something, 2 mistaken flags or Dockerfile, 3 no such image,
    4 the registry wants other credentials, 5 registry or agent unreachable, 6 disk, 7 wrong content, 130 interrupted.
    """
    wanted = _Flags(**{name: flags.pop(name) for name in _Flags.__dataclass_fields__})
    settings = load(config_file, flags, logs=False)
    if wanted.check:
        with told_failures(), store_at_hand(settings) as known:
            run_async(_check, known, wanted)
    with told_failures():
        request = wanted.request()
        outcome = run_async(_build, settings, wanted, request)
        tell_untold(outcome.untold)
        _tell_outcome(wanted, request.outputs, outcome)


@dataclass(frozen=True, slots=True)
class _Flags:
    """As click gives them."""

    context: str
    tags: tuple[str, ...]
    file: str | None
    target: str | None
    build_args: tuple[str, ...]
    contexts: tuple[str, ...]
    labels: tuple[str, ...]
    secrets: tuple[str, ...] = field(repr=False)
    ssh: tuple[str, ...]
    platforms: str | None
    network: str
    hosts: tuple[str, ...]
    allow: tuple[str, ...]
    no_cache: bool
    no_cache_filter: str | None
    pull: bool
    outputs: tuple[str, ...]
    push: bool
    load: bool
    squash: bool
    compression: Any
    keep_times: bool
    iidfile: str | None
    metadata_file: str | None
    progress: str
    quiet: bool
    check: bool
    as_json: bool

    def request(self) -> BuildRequest:
        """Raises InputError."""
        environment = dict(os.environ)
        arguments = parse_pairs(self.build_args, "build-arg", environment)
        if "SOURCE_DATE_EPOCH" in environment:  # as BuildKit's clients pass it on
            arguments.setdefault("SOURCE_DATE_EPOCH", environment["SOURCE_DATE_EPOCH"])
        for flag, file in (("iidfile", self.iidfile), ("metadata-file", self.metadata_file)):
            _check_place(flag, file)
        if self.keep_times and any("rewrite-timestamp" in one for one in self.outputs):
            raise InputError("--output rewrite-timestamp=true and --keep-times are opposites: give one")
        stages = tuple((self.no_cache_filter or "").split(",")) if self.no_cache_filter else ()
        return BuildRequest(
            context=self.context,
            file=self.file or None,
            tags=self.tags,
            target=self.target,
            build_args=arguments,
            contexts=parse_pairs(self.contexts, "build-context"),
            labels=parse_pairs(self.labels, "label", lone=""),
            secrets=parse_secrets(self.secrets, environment),
            ssh=parse_ssh(self.ssh, environment),
            platforms=tuple(Platform.parse(one) for one in (self.platforms or "").split(",") if one),
            network=self.network,
            hosts=parse_hosts(self.hosts),
            allow=frozenset(self.allow),
            no_cache=self.no_cache or stages,
            pull=self.pull,
            outputs=self._outputs(),
            squash=self.squash,
            compression=self.compression,
            keep_times=self.keep_times,
        )

    def _outputs(self) -> tuple[Output, ...]:
        """Raises InputError."""
        short = {"type=registry": self.push, "type=image": self.load}
        texts = (*self.outputs, *(text for text, is_given in short.items() if is_given))
        return tuple(parse_output(one) for one in texts or ("type=image",))


async def _check(store: Store | None, flags: _Flags) -> NoReturn:
    """Raises ShoalError."""
    from builder.check import check
    from builder.execution.told_warnings import check_fields, of_check

    with _view(flags) as view:
        dockerfile, warnings = await check(flags.request(), store, os.environ, view)
    if flags.as_json:
        click.echo(json.dumps(check_fields(warnings, dockerfile)))
    else:
        click.echo(of_check(warnings, dockerfile))
    sys.exit(FAILURE if warnings else 0)


async def _build(settings: Settings, flags: _Flags, request: BuildRequest) -> "BuildOutcome":
    """Exits where a step fails. Raises ShoalError."""
    from builder.builder import open_builder  # the engine, which --help needs not
    from builder.execution.step_failure import StepFailed

    read: list[Dockerfile] = []
    outcome: BuildOutcome | None = None
    failure: ShoalError | None = None

    async def work() -> None:
        nonlocal outcome, failure
        try:
            async with open_builder(settings) as builder:
                with _view(flags) as view:
                    outcome = await builder.build(request, view, read.append)
        except ShoalError as error:
            failure = error

    await finish_or_end(work)
    if isinstance(failure, StepFailed):
        _end_failed(failure, read)
    if failure is not None:
        raise failure
    assert outcome is not None
    if outcome.warnings and not flags.quiet and flags.progress != "quiet":
        from builder.execution.told_warnings import behind_build, status_fields

        is_raw = flags.progress == "rawjson"
        told = (
            json.dumps(status_fields(outcome.warnings, read[0])) if is_raw else behind_build(outcome.warnings)
        )
        click.echo(told, err=True)
    return outcome


def _end_failed(failure: "StepFailed", read: Sequence[Dockerfile]) -> NoReturn:
    """The command's last words and the line of the Dockerfile first, then what is told of every failure."""
    if read:
        click.echo(shown_text(failure.report(read[0].lines, read[0].name)), err=True)
    click.echo(f"shoal: {shown_text(str(failure))}", err=True)
    cause = failure.cause
    sys.exit(exit_code_of(cause) if isinstance(cause, ShoalError) else FAILURE)


def shown_text(text: str) -> str:
    """Without what looks like a secret."""
    return redact(_FILE_NAME.sub(rf"\1{_NO_FIELD}\2", text)).replace(_NO_FIELD, "")


def _tell_outcome(flags: _Flags, outputs: Sequence[Output], outcome: "BuildOutcome") -> None:
    image_id = str(outcome.image_id)
    told = {
        "image_id": image_id,
        "digest": None if outcome.root is None else str(outcome.root),
        "names": list(outcome.names),
        "platforms": {str(one.platform): str(one.image_id) for one in outcome.images},
        "steps": outcome.steps,
        "cached": outcome.cached,
        "seconds": round(outcome.seconds, 3),
    }
    if flags.iidfile is not None:
        _write(Path(flags.iidfile), image_id)
    if flags.metadata_file is not None:
        more: dict[str, object] = {
            "containerimage.config.digest": image_id,
            "containerimage.digest": told["digest"],
            "image.name": ",".join(outcome.names),
        }
        if (root := outcome.descriptor) is not None:
            more["containerimage.descriptor"] = {
                "mediaType": root.media_type,
                "digest": str(root.digest),
                "size": root.size,
            }
        _write(Path(flags.metadata_file), json.dumps(more | told, indent=2) + "\n")
    to_stdout = any(one.destination == "-" for one in outputs)
    if flags.as_json:
        click.echo(json.dumps(told), err=to_stdout)
    else:
        click.echo(image_id, err=to_stdout)


def _check_place(flag: str, file: str | None) -> None:
    """Before a long build and not behind it. Raises InputError."""
    if file is not None and (not file or Path(file).is_dir() or not Path(file).absolute().parent.is_dir()):
        raise InputError(f"--{flag} {file[:200]!r}: expected a file in a directory that is there")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from None


def _view(flags: _Flags) -> AbstractContextManager[View]:
    from builder.progress.plain import PlainView

    kind = "quiet" if flags.quiet or flags.check else flags.progress
    if kind == "auto":
        kind = "tty" if sys.stderr.isatty() else "plain"
    match kind:
        case "tty":
            from rich.console import Console

            from builder.progress.terminal import TerminalView

            return TerminalView(Console(stderr=True, highlight=False))
        case "rawjson":
            from builder.progress.raw_json import RawJsonView

            return RawJsonView(lambda line: click.echo(line, err=True))
        case "quiet":
            return PlainView(lambda _: None)
    return PlainView(lambda line: click.echo(line, err=True))
