"""`shoal status`: what the agent on this machine does."""

import json
import sys
from pathlib import Path
from typing import Any

import click
import trio

from agent.commands.agent_client import AgentClient, NoAgent, open_agent_client
from agent.commands.running import config_flag, load, run_async
from agent.commands.sectioned_command import SectionedCommand
from agent.commands.status_page import status_lines
from agent.content.errors import AgentError
from agent.settings.flags import settings_flags
from agent.settings.settings import Settings

_WATCH_SECONDS = 1.0


@click.command(cls=SectionedCommand)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object (with --watch: one a line).")
@click.option("--watch", "-w", is_flag=True, help="Go on, once a second, until Ctrl-C.")
@config_flag
@settings_flags("node", "admin")
def status(as_json: bool, watch: bool, config_file: Path | None, **flags: object) -> None:
    """Show what the agent on this machine does: tracker, peers, swarms, downloads, rates, store.

    \b
    Examples:
      shoal status
      shoal status --watch
      shoal status --json | jq .traffic.share_from_peers

    Exit codes: 0 it runs, 2 mistaken configuration, 5 no agent runs here, or it does not answer.
    """
    run_async(_status, load(config_file, flags, logs=False), as_json, watch)


async def _status(settings: Settings, as_json: bool, watch: bool) -> None:
    socket = settings.admin.socket
    try:
        async with open_agent_client(socket) as agent:
            if watch:
                await _watch(agent, as_json)
            elif as_json:
                click.echo(json.dumps(await agent.status()))
            else:
                click.echo("\n".join(_lines(await agent.status())))
    except NoAgent as error:
        raise AgentError(
            f"{error}; start one with `shoal up` (or `shoal agent`), or say where it is with --admin-socket"
        ) from None


async def _watch(agent: AgentClient, as_json: bool) -> None:
    if as_json or not sys.stdout.isatty():
        while True:
            found = await agent.status()
            click.echo(json.dumps(found) if as_json else "\n".join([*_lines(found), ""]))
            await trio.sleep(_WATCH_SECONDS)
    from rich.console import Console  # 55 modules, for terminals alone
    from rich.live import Live
    from rich.text import Text

    console = Console(highlight=False)
    with Live(console=console, auto_refresh=False, screen=True) as live:
        while True:
            lines = _fitting(await agent.status(), console.size.height)
            live.update(Text.from_ansi("\n".join(lines), no_wrap=True), refresh=True)
            await trio.sleep(_WATCH_SECONDS)


def _fitting(found: dict[str, Any], height: int) -> list[str]:
    """With lists as long as the screen allows, of three lines at least."""
    pages = (_lines(found, rows) for rows in range(height, 2, -1))
    return next((page for page in pages if len(page) <= height), _lines(found, 3))


def _lines(found: dict[str, Any], max_rows: int | None = None) -> list[str]:
    try:
        return status_lines(found) if max_rows is None else status_lines(found, max_rows)
    except (KeyError, TypeError):
        raise AgentError(
            "the agent's answer lacks something: it runs another version than this command"
        ) from None
