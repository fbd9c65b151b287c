"""`shoal prune`: images that nobody has a name for go, or all that nobody pinned."""

import json
from pathlib import Path

import click

from agent.commands.announcing import announce
from agent.commands.local_store import local_store
from agent.commands.quantities import size_text
from agent.commands.rmi import echo_removed, removed_json
from agent.commands.running import config_flag, load
from agent.commands.sectioned_command import SectionedCommand
from agent.images.catalog import Catalog
from agent.images.local_image import LocalImage
from agent.images.removing import Removed, Remover, is_pinned
from agent.settings.flags import settings_flags
from agent.store.store import Store

_DANGLING = "WARNING! This will remove all dangling images."
_IDLE_SECONDS = 3600.0  # a pull or a push that runs names what it brings within that
_ALL = "WARNING! This will remove all images that are not pinned."


@click.command(cls=SectionedCommand)
@click.option(
    "--all", "-a", "all_images", is_flag=True, help="Those with a name, too, unless they are pinned."
)
@click.option("--force", "-f", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end; needs -f.")
@config_flag
@settings_flags("node", "store")
def prune(all_images: bool, force: bool, as_json: bool, config_file: Path | None, **flags: object) -> None:
    """Remove images without a name (dangling ones), and what nothing else needs of them.

    Pinned images stay, and what running pulls and builds hold. Blobs that a killed load or push left go, too.

    \b
    Examples:
      shoal prune
      shoal prune -a -f

    Exit codes: 0 done, or not wanted after all, 2 mistaken configuration, 6 disk.
    """
    settings = load(config_file, flags, logs=False)
    if as_json and not force:
        raise click.UsageError("--json asks nobody: give -f, too")
    if not force:
        click.echo(_ALL if all_images else _DANGLING)
        if not click.confirm("Are you sure you want to continue?", default=False, prompt_suffix=" "):
            return
    with local_store(settings, create=True) as store:
        removed = _pruned(store, all_images=all_images)
        removed.freed_bytes += sum(store.remove_loose(_IDLE_SECONDS).values())
        announce(settings, store)
    if as_json:
        click.echo(json.dumps(removed_json(removed)))
        return
    if removed.untagged or removed.deleted:
        click.echo("Deleted Images:")
        echo_removed(removed, "untagged", "deleted")
        click.echo()
    click.echo(f"Total reclaimed space: {size_text(removed.freed_bytes)}")


def _pruned(store: Store, *, all_images: bool) -> Removed:
    total, catalog, seen = Removed(), Catalog.of(store), list[LocalImage]()
    for image in catalog.images:
        if image in seen:
            continue
        same = catalog.same(image)
        seen += same
        is_going = all_images or all(one.tag is None for one in same)
        if is_going and not is_pinned(store, same):
            removed = Remover(store).remove_images(catalog, same, [])
            total.untagged += removed.untagged
            total.deleted += removed.deleted
            total.freed_bytes += removed.freed_bytes
    return total
