"""`shoal store`: the store explained by what is in it; `verify` and `repair` it."""

from pathlib import Path
from typing import Any

import click

from agent.commands.local_store import local_store
from agent.commands.outer_flags import keep_for_commands
from agent.commands.running import config_flag, load
from agent.commands.sectioned_command import SectionedCommand
from agent.commands.store_repair import repair
from agent.commands.store_tour import tour_lines
from agent.commands.store_verify import verify
from agent.images.catalog import Catalog
from agent.settings.flags import settings_flags


class _StoreGroup(SectionedCommand, click.Group):
    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        SectionedCommand.format_options(self, ctx, formatter)
        self.format_commands(ctx, formatter)


@click.group(cls=_StoreGroup, invoke_without_command=True)
@click.option("--image", "reference", metavar="IMAGE", help="The image to show it by. [default: the newest]")
@config_flag
@settings_flags("node", "store")
@click.pass_context
def store(ctx: click.Context, /, reference: str | None, config_file: Path | None, **flags: Any) -> None:
    """Explain this node's store by what is in it: from a name to a manifest, a config, layers, chain IDs.

    \b
    Examples:
      shoal store
      shoal store --image alpine
      shoal store verify

    Exit codes: 0 done, 2 mistaken reference, 3 no such image, 6 disk, 7 something is damaged.
    """
    if ctx.invoked_subcommand is not None:
        keep_for_commands(ctx, config_file, flags)
        return
    settings = load(config_file, flags, logs=False)
    with local_store(settings, create=True) as opened:
        for line in tour_lines(opened, Catalog.of(opened), reference):
            click.echo(line)


store.add_command(verify)
store.add_command(repair)
