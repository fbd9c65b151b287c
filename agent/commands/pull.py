"""`shoal pull`: an image into this node's store: through the agent that runs here, else by a node of its own that lives
as long as the command. Both take the same way (agent/node/pull.py).
"""

import json
import sys
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import click

from agent.commands.agent_client import NoAgent, open_agent_client
from agent.commands.exit_codes import exit_code_of
from agent.commands.lone_node import with_lone_node
from agent.commands.pull_lines import PullLines
from agent.commands.pull_report import ending_lines, report_json
from agent.commands.running import config_flag, fail, load, run_async
from agent.commands.sectioned_command import SectionedCommand
from agent.content.errors import ShoalError
from agent.content.platform import Platform
from agent.content.redaction import redact
from agent.content.reference import Reference
from agent.node.pull_progress import OnProgress, PullProgress
from agent.settings.flags import settings_flags
from agent.settings.settings import Settings


class PullView(Protocol):
    """Shows a pull while it runs; entered and left around it."""

    def show(self, progress: PullProgress) -> None: ...


@click.command(cls=SectionedCommand)
@click.argument("reference")
@click.option("--platform", metavar="OS/ARCH[/VARIANT]", help="Platform to choose. [default: this machine's]")
@click.option("--quiet", "-q", is_flag=True, help="Print the image's name alone, at the end.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end.")
@config_flag
@settings_flags("node", "tracker", "admin", "credentials", "upstreams")
def pull(
    reference: str,
    platform: str | None,
    quiet: bool,
    as_json: bool,
    config_file: Path | None,
    **flags: object,
) -> None:
    """Pull an image into this node's store.

    Through the agent of this machine where one runs, so that the download is shared with its clients and peers; else
    alone. Shows a bar a blob, and which of its bytes came from peers and which from the registry.

    \b
    Examples:
      shoal pull alpine
      shoal pull --platform linux/arm64 quay.io/prometheus/busybox:latest
      shoal pull --json docker.io/library/alpine@sha256:... | jq .registry_bytes

    Exit codes: 0 done, 2 malformed reference or configuration, 3 no such image or platform, 4 the registry wants other
    credentials, 5 registry or agent unreachable, 6 disk, 7 wrong content, 130 interrupted.
    """
    settings = load(config_file, flags, logs=False)
    try:
        wanted = Reference.parse(reference)
        chosen = None if platform is None else Platform.parse(platform)
    except ShoalError as error:
        fail(error)
    run_async(_pull, settings, wanted, chosen, quiet, as_json)


async def _pull(
    settings: Settings, reference: Reference, platform: Platform | None, quiet: bool, as_json: bool
) -> None:
    began = time.monotonic()
    view = _silent_view() if quiet or as_json else _view(reference)
    try:
        with view as shown:
            progress, through_agent = await pull_image(settings, reference, platform, shown.show)
    except ShoalError as error:
        if as_json:
            _print_json(_failure_json(reference, error))
        raise
    seconds = time.monotonic() - began
    if as_json:
        _print_json(report_json(progress, seconds, agent=through_agent))
    elif quiet:
        click.echo(reference)
    else:
        click.echo("\n".join(ending_lines(progress, seconds)))


async def pull_image(
    settings: Settings, reference: Reference, platform: Platform | None, on_progress: OnProgress
) -> tuple[PullProgress, bool]:
    """What came of it, and whether it went through the running agent. Raises ShoalError."""
    try:
        async with open_agent_client(settings.admin.socket) as agent:
            return await agent.pull(reference, platform, on_progress), True
    except NoAgent:
        return await _pull_alone(settings, reference, platform, on_progress), False


async def _pull_alone(
    settings: Settings, reference: Reference, platform: Platform | None, on_progress: OnProgress
) -> PullProgress:
    outcome: PullProgress | ShoalError
    async with with_lone_node(settings) as node:
        try:
            outcome = await node.puller.pull(reference, platform, on_progress)
        except ShoalError as error:
            outcome = error  # an expected failure does not travel through the node's nurseries
    if isinstance(outcome, ShoalError):
        raise outcome
    return outcome


def _view(reference: Reference) -> AbstractContextManager[PullView]:
    if not sys.stdout.isatty():
        return PullLines(click.echo)
    from rich.console import Console  # 55 modules, for terminals alone

    from agent.commands.pull_live import LivePull

    return LivePull(Console(highlight=False), PullProgress(reference))


def _silent_view() -> AbstractContextManager[PullView]:
    return PullLines(lambda _: None)


def _failure_json(reference: Reference, error: ShoalError) -> dict[str, Any]:
    return {
        "reference": str(reference),
        "status": "failed",
        "error": redact(str(error)),
        "kind": type(error).__name__,
        "exit_code": exit_code_of(error),
    }


def _print_json(value: dict[str, Any]) -> None:
    click.echo(json.dumps(value))
