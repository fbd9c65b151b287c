"""`shoal images`: what this node's store holds. Reads the store itself, with and without a running agent."""

import json
import time
from pathlib import Path

import click

from agent.commands.formatted import formatted_lines
from agent.commands.image_rows import ImageRow, image_rows
from agent.commands.local_store import store_root, told_failures
from agent.commands.running import config_flag, load
from agent.commands.sectioned_command import SectionedCommand
from agent.commands.text_table import table_lines
from agent.images.catalog import Catalog
from agent.settings.flags import settings_flags
from agent.store.store import Store


@click.command(cls=SectionedCommand)
@click.argument("name", metavar="[NAME[:TAG]]", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@click.option("--quiet", "-q", is_flag=True, help="Print the image IDs alone.")
@click.option("--digests", is_flag=True, help="Show the digests of manifests or indexes, too.")
@click.option("--no-trunc", is_flag=True, help="Print nothing shortened.")
@click.option("--all", "-a", "_all", is_flag=True, help="Accepted as Docker's; everything is always shown.")
@click.option(
    "--filter",
    "-f",
    "filters",
    multiple=True,
    metavar="KEY=VALUE",
    help="reference, before, since, dangling, label.",
)
@click.option("--format", "how", metavar="TEMPLATE", help="json, a Go template, or 'table TEMPLATE'.")
@config_flag
@settings_flags("node")
def images(
    name: str | None,
    as_json: bool,
    quiet: bool,
    digests: bool,
    no_trunc: bool,
    _all: bool,
    filters: tuple[str, ...],
    how: str | None,
    config_file: Path | None,
    **flags: object,
) -> None:
    """List the images in this node's store.

    \b
    Examples:
      shoal images
      shoal images --filter 'reference=team/*' --format '{{.Repository}}:{{.Tag}} {{.Size}}'
      shoal images --json | jq -r '.[] | select(.complete) | .repository'

    Exit codes: 0 done, 2 mistaken filter, template or configuration, 6 the store cannot be read.
    """
    settings = load(config_file, flags, logs=False)
    with told_failures():
        rows = image_rows(_stored(store_root(settings)), name, filters)
        if as_json:
            lines = [json.dumps([row.as_json() for row in rows])]
        elif quiet:
            lines = list(dict.fromkeys(row.id_text(whole=no_trunc) for row in rows))
        elif how:
            lines = formatted_lines(how, [row.fields(time.time(), whole=no_trunc) for row in rows])
        else:
            lines = _table(rows, digests=digests, no_trunc=no_trunc)
    for line in lines:
        click.echo(line)


def _table(rows: list[ImageRow], *, digests: bool, no_trunc: bool) -> list[str]:
    keys = ["Repository", "Tag", *(["Digest"] if digests else []), "ID", "CreatedSince", "Size"]
    heads = {"ID": "IMAGE ID", "CreatedSince": "CREATED"}
    values = [row.fields(time.time(), whole=no_trunc) for row in rows]
    return table_lines(
        [heads.get(key, key.upper()) for key in keys], [[one[key] for key in keys] for one in values]
    )


def _stored(root: Path) -> Catalog:
    """Raises DiskError."""
    if not (root / "oci-layout").exists():
        return Catalog(())  # listing makes no store
    with Store(root) as store:
        return Catalog.of(store)
