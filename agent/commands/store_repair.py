"""`shoal store repair`: what was damaged comes again, from peers or its registry."""

import json
import sys
from pathlib import Path

import click

from agent.commands.agent_client import NoAgent, open_agent_client
from agent.commands.exit_codes import exit_code_of
from agent.commands.local_store import local_store
from agent.commands.lone_node import with_lone_node
from agent.commands.outer_flags import load_merged
from agent.commands.running import config_flag, run_async
from agent.commands.sectioned_command import SectionedCommand
from agent.commands.store_verify import verify_store
from agent.content.digest import Digest
from agent.content.errors import ShoalError
from agent.content.redaction import redact
from agent.settings.flags import settings_flags
from agent.settings.settings import Settings


@click.command(cls=SectionedCommand)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@config_flag
@settings_flags("node", "store", "tracker", "admin", "credentials", "upstreams")
def repair(as_json: bool, config_file: Path | None, **flags: object) -> None:
    """Verify the store, and fetch again what is damaged or missing of it, from peers or the registry.

    Through the agent of this machine where one runs. What no image needs any more is forgotten.

    \b
    Example:
      shoal store repair

    Exit codes: 0 all is whole (again), 2 mistaken configuration, 6 disk; where something could not be had, the code of
    the first failure: 3 nobody has it, 4 credentials, 5 unreachable.
    """
    settings = load_merged(config_file, flags)
    with local_store(settings, create=True) as store:
        lost = verify_store(store).damaged
        unneeded = [digest for digest in lost if not store.repositories_of(digest)]
        store.forget_damage(unneeded)
        wanted = [digest for digest in lost if digest not in unneeded]
    failures = run_async(_fetch_all, settings, wanted) if wanted else {}
    repaired = [digest for digest in wanted if digest not in failures]
    with local_store(settings, create=True) as store:
        store.forget_damage(repaired)
    if as_json:
        failed = [{"digest": str(one), "error": redact(str(error))} for one, error in failures.items()]
        click.echo(json.dumps({"repaired": [str(digest) for digest in repaired], "failed": failed}))
    else:
        for digest in repaired:
            click.echo(f"Repaired: {digest}")
        for digest, error in failures.items():
            click.echo(f"shoal: {digest} could not be repaired: {redact(str(error))}", err=True)
        if not wanted:
            click.echo("Nothing is damaged.")
    sys.exit(exit_code_of(next(iter(failures.values()))) if failures else 0)


async def _fetch_all(settings: Settings, digests: list[Digest]) -> dict[Digest, ShoalError]:
    """What could not be had, and why."""
    failures: dict[Digest, ShoalError] = {}
    try:
        async with open_agent_client(settings.admin.socket) as agent:
            for digest in digests:
                try:
                    await agent.fetch_again(digest)
                except NoAgent:
                    raise
                except ShoalError as error:
                    failures[digest] = error
    except NoAgent:
        from agent.node.fetching_again import fetch_again  # with a running agent none of this is loaded

        async with with_lone_node(settings) as node:
            for digest in digests:
                try:
                    await fetch_again(node, digest)
                except ShoalError as error:
                    failures[digest] = error
    return failures
