"""`shoal history`: how an image of this node's store came to be, newest step first."""

import time
from pathlib import Path
from typing import Any

import click

from agent.commands.formatted import formatted_lines
from agent.commands.image_rows import NONE
from agent.commands.local_store import local_store
from agent.commands.quantities import ago_text, size_text
from agent.commands.running import config_flag, load
from agent.commands.sectioned_command import SectionedCommand
from agent.commands.text_table import table_lines
from agent.content.digest import Digest
from agent.content.image_config import parse_time
from agent.images.catalog import Catalog
from agent.images.inspection import HistoryRow, history_rows
from agent.settings.flags import settings_flags

_CREATED_BY_CHARACTERS = 45


class _GoFlags(SectionedCommand):
    """Docker's way to say no to a flag."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        said = {
            "--human=false": "--no-human",
            "-H=false": "--no-human",
            "--human=true": "--human",
            "-H=true": "-H",
        }
        return super().parse_args(ctx, [said.get(argument, argument) for argument in args])


@click.command(cls=_GoFlags)
@click.argument("reference", metavar="IMAGE")
@click.option("--no-trunc", is_flag=True, help="Print nothing shortened.")
@click.option("--quiet", "-q", is_flag=True, help="Print the image IDs alone.")
@click.option("--human/--no-human", "-H/ ", default=True, help="Sizes and dates for people. [default: yes]")
@click.option("--format", "how", metavar="TEMPLATE", help="json, a Go template, or 'table TEMPLATE'.")
@config_flag
@settings_flags("node")
def history(
    reference: str,
    no_trunc: bool,
    quiet: bool,
    human: bool,
    how: str | None,
    config_file: Path | None,
    **flags: object,
) -> None:
    """Show the steps that made an image, newest first.

    Sizes are of the layers as they are here: compressed, where they came so.

    \b
    Examples:
      shoal history alpine
      shoal history --no-trunc --format '{{.CreatedBy}}' team/app:1

    Exit codes: 0 done, 2 mistaken reference or template, 3 no such image, 6 disk, 7 not here completely.
    """
    settings = load(config_file, flags, logs=False)
    with local_store(settings) as store:
        image = Catalog.of(store).find(reference).image
        values = [_fields(row, time.time(), whole=no_trunc, human=human) for row in history_rows(image)]
        if quiet:
            lines = [one["ID"] for one in values]
        elif how:
            lines = formatted_lines(how, values)
        else:
            keys = ("ID", "CreatedSince", "CreatedBy", "Size", "Comment")
            heads = ("IMAGE", "CREATED", "CREATED BY", "SIZE", "COMMENT")
            lines = table_lines(heads, [[one[key] for key in keys] for one in values])
    for line in lines:
        click.echo(line)


def _fields(row: HistoryRow, now: float, *, whole: bool, human: bool) -> dict[str, Any]:
    """What a template may name: Docker's."""
    created = parse_time(row.entry.created or "")
    since = NONE if created is None else ago_text(max(now - created, 0.0))
    by = row.entry.created_by.replace("\t", " ")
    if not whole and len(by) > _CREATED_BY_CHARACTERS:
        by = by[: _CREATED_BY_CHARACTERS - 1] + "…"
    image = "<missing>" if row.image is None else row.image if whole else Digest.parse(row.image).short
    return {
        "ID": image,
        "CreatedSince": since if human else row.entry.created or NONE,
        "CreatedAt": row.entry.created or NONE,
        "CreatedBy": by,
        "Size": size_text(row.size) if human else str(row.size),
        "Comment": row.entry.comment,
    }
