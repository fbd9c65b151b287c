"""`shoal images`: what this node's store holds. Reads the store itself, with and without a running agent."""

import json
import time
from pathlib import Path

import click

from agent.commands.image_table import digest_text, image_json, image_table
from agent.commands.running import config_flag, fail, load
from agent.commands.sectioned_command import SectionedCommand
from agent.content.errors import ShoalError
from agent.settings.flags import settings_flags
from agent.store.store import ImageRecord, Store


@click.command(cls=SectionedCommand)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@click.option("--quiet", "-q", is_flag=True, help="Print the digests alone.")
@click.option("--digests", is_flag=True, help="Print whole digests.")
@click.option("--no-trunc", is_flag=True, help="Print nothing shortened.")
@config_flag
@settings_flags("node")
def images(
    as_json: bool, quiet: bool, digests: bool, no_trunc: bool, config_file: Path | None, **flags: object
) -> None:
    """List the images in this node's store.

    \b
    Examples:
      shoal images
      shoal images --json | jq -r '.[] | select(.complete) | .repository'

    Exit codes: 0 done, 2 mistaken configuration, 6 the store cannot be read.
    """
    settings = load(config_file, flags, logs=False)
    whole = digests or no_trunc
    try:
        found = _stored(settings.node.data_dir / "store")
    except ShoalError as error:
        fail(error)
    if as_json:
        click.echo(json.dumps([image_json(image) for image in found]))
    elif quiet:
        for digest in dict.fromkeys(digest_text(image, whole=whole) for image in found):
            click.echo(digest)
    else:
        click.echo("\n".join(image_table(found, time.time(), whole_digests=whole)))


def _stored(root: Path) -> list[ImageRecord]:
    """Images with something here; a tag whose bytes were all evicted is no longer one. Raises DiskError."""
    if not (root / "oci-layout").exists():
        return []  # listing makes no store
    with Store(root) as store:
        return [image for image in store.images() if image.size > 0]
