"""`shoal inspect`: all that an image of this node's store says of itself, in Docker's fields."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from agent.commands.exit_codes import exit_code_of
from agent.commands.formatted import formatted_lines
from agent.commands.local_store import local_store
from agent.commands.running import config_flag, load
from agent.commands.sectioned_command import SectionedCommand
from agent.content.errors import NotFound
from agent.content.redaction import redact
from agent.images.catalog import Catalog
from agent.images.inspection import inspected
from agent.settings.flags import settings_flags


@click.command(cls=SectionedCommand)
@click.argument("references", nargs=-1, required=True, metavar="IMAGE...")
@click.option("--format", "-f", "how", metavar="TEMPLATE", help="json, or a Go template.")
@config_flag
@settings_flags("node")
def inspect(references: tuple[str, ...], how: str | None, config_file: Path | None, **flags: object) -> None:
    """Print what images say of themselves, as a JSON array.

    \b
    Examples:
      shoal inspect alpine
      shoal inspect --format '{{.Id}}' alpine
      shoal inspect -f '{{json .Config.Env}}' team/app:1

    Exit codes: 0 done, 2 mistaken reference or template, 3 no such image, 6 disk, 7 not here completely.
    """
    settings = load(config_file, flags, logs=False)
    found: list[dict[str, Any]] = []
    code = 0
    with local_store(settings) as store:
        catalog = Catalog.of(store)
        for text in references:
            try:
                found.append(inspected(catalog, catalog.find(text).image))
            except NotFound as error:  # the others are shown all the same
                click.echo(f"shoal: {redact(str(error))}", err=True)
                code = code or exit_code_of(error)
        lines = formatted_lines(how, found) if how else [json.dumps(found, indent=4, ensure_ascii=False)]
    for line in lines:
        click.echo(line)
    sys.exit(code)
