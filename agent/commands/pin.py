"""`shoal pin` and `shoal unpin`: images that eviction and prune leave alone."""

import json
from pathlib import Path

import click

from agent.commands.local_store import local_store
from agent.commands.running import config_flag, load
from agent.commands.sectioned_command import SectionedCommand
from agent.images.catalog import Catalog
from agent.images.keeping import USER_PIN
from agent.settings.flags import settings_flags


@click.command(cls=SectionedCommand)
@click.argument("references", nargs=-1, metavar="[IMAGE...]")
@click.option("--json", "as_json", is_flag=True, help="Print the pinned images as a JSON array.")
@config_flag
@settings_flags("node", "store")
def pin(references: tuple[str, ...], as_json: bool, config_file: Path | None, **flags: object) -> None:
    """Keep images from eviction and `shoal prune`; without IMAGE, list what is pinned.

    The image is pinned as it is now: where its tag moves, what it led to stays, and not what it leads to then.

    \b
    Examples:
      shoal pin alpine team/base:3.20
      shoal pin

    Exit codes: 0 done, 2 mistaken reference, 3 no such image, 6 disk.
    """
    settings = load(config_file, flags, logs=False)
    with local_store(settings, create=not references) as store:
        catalog = Catalog.of(store)
        for image in [catalog.find(text).image for text in references]:
            store.pin(image.root.digest, USER_PIN)
        if references and not as_json:
            return
        pinned = {digest for digest, reasons in store.pins().items() if USER_PIN in reasons}
        found = [
            (f"{catalog.shown_name(image)}:{image.tag or '<none>'}", image.root.digest)
            for image in catalog.images
            if image.root.digest in pinned
        ]
    if as_json:
        click.echo(json.dumps([{"name": name, "digest": str(digest)} for name, digest in found]))
    else:
        for name, digest in found:
            click.echo(f"{name}  {digest}")


@click.command(cls=SectionedCommand)
@click.argument("references", nargs=-1, required=True, metavar="IMAGE...")
@config_flag
@settings_flags("node", "store")
def unpin(references: tuple[str, ...], config_file: Path | None, **flags: object) -> None:
    """Let images be evicted and pruned again.

    \b
    Example:
      shoal unpin alpine

    Exit codes: 0 done, 2 mistaken reference, 3 no such image, 6 disk.
    """
    settings = load(config_file, flags, logs=False)
    with local_store(settings) as store:
        catalog = Catalog.of(store)
        for image in [catalog.find(text).image for text in references]:
            store.unpin(image.root.digest, USER_PIN)
