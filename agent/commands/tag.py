"""`shoal tag`: another name for an image of this node's store."""

import time
from pathlib import Path

import click

from agent.commands.announcing import announce
from agent.commands.local_store import local_store
from agent.commands.running import config_flag, load
from agent.commands.sectioned_command import SectionedCommand
from agent.images.catalog import Catalog
from agent.images.keeping import tag_image
from agent.images.names import given_name
from agent.settings.flags import settings_flags


@click.command(cls=SectionedCommand)
@click.argument("source", metavar="IMAGE")
@click.argument("target", metavar="NAME[:TAG]")
@config_flag
@settings_flags("node", "store", "upstreams")
def tag(source: str, target: str, config_file: Path | None, **flags: object) -> None:
    """Give an image another name.

    A name without a registry is one of this cluster.

    \b
    Example:
      shoal tag alpine team/base:3.20

    Exit codes: 0 done, 2 mistaken name, 3 no such image, 6 disk.
    """
    settings = load(config_file, flags, logs=False)
    with local_store(settings) as store:
        name = given_name(target, settings.upstream_registries)
        tag_image(store, Catalog.of(store).find(source).image, name, time.time())
        announce(settings, store)
