"""`shoal build-prune`: what builds keep to be faster goes."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from agent.commands.local_store import local_store, store_reserve, told_failures
from agent.commands.quantities import size_text
from agent.commands.running import config_flag, load
from agent.commands.sectioned_command import SectionedCommand
from agent.content.errors import InputError
from agent.settings.flags import settings_flags
from agent.settings.settings import Settings
from agent.settings.values import parse_duration

_WARNING = "WARNING! This will remove what no running build uses of the unpacked layers, cache mounts and step results."


@click.command(cls=SectionedCommand)
@click.option(
    "--unused-for",
    metavar="DURATION",
    default="0s",
    help="Cache mounts and results that nobody used for so long: 24h. [default: all]",
)
@click.option("--force", "-f", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end; needs -f.")
@config_flag
@settings_flags("node", "store")
def build_prune(
    unused_for: str, force: bool, as_json: bool, config_file: Path | None, **flags: object
) -> None:
    """Remove what builds keep to be faster: unpacked layers, cache mounts, and what steps came to.

    Images stay, and so do running builds. Every build does so on its own beyond build.keep_storage.

    \b
    Examples:
      shoal build-prune
      shoal build-prune -f --unused-for 24h

    Exit codes: 0 done, or not wanted after all, 2 mistaken configuration, 6 disk.
    """
    settings = load(config_file, flags, logs=False)
    if as_json and not force:
        raise click.UsageError("--json asks nobody: give -f, too")
    if not force:
        click.echo(_WARNING)
        if not click.confirm("Are you sure you want to continue?", default=False, prompt_suffix=" "):
            return
    with told_failures():
        try:
            idle_seconds = parse_duration(unused_for)
        except InputError as error:
            raise InputError(
                f"--unused-for {unused_for[:100]!r}: {error}, expected one such as 24h"
            ) from None
        told = _pruned(settings, idle_seconds)
    if as_json:
        click.echo(json.dumps(told))
    else:
        click.echo(f"Total reclaimed space: {size_text(int(told['freed_bytes']))}")


def _pruned(settings: Settings, idle_seconds: float) -> dict[str, int]:
    """Raises ShoalError."""
    from builder.cache.local import LocalCache
    from builder.execution.tidying import tidy_all

    home = settings.node.data_dir / "build"

    def forget(idle_seconds: float) -> int:
        with local_store(settings, create=True) as store, LocalCache(home / "cache.db", store) as local:
            return local.forget(idle_seconds)

    with store_reserve(settings):
        return asdict(tidy_all(home, idle_seconds, forget))
