"""`shoal rmi`: names and images go from this node's store."""

import json
import sys
from pathlib import Path

import click

from agent.commands.announcing import announce
from agent.commands.exit_codes import exit_code_of
from agent.commands.local_store import local_store
from agent.commands.running import config_flag, load
from agent.commands.sectioned_command import SectionedCommand
from agent.content.errors import InputError, NotFound
from agent.content.redaction import redact
from agent.images.removing import Removed, Remover
from agent.settings.flags import settings_flags


@click.command(cls=SectionedCommand)
@click.argument("references", nargs=-1, required=True, metavar="IMAGE...")
@click.option(
    "--force", "-f", is_flag=True, help="Also where it has several names or children, or is pinned."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end.")
@config_flag
@settings_flags("node", "store")
def rmi(
    references: tuple[str, ...], force: bool, as_json: bool, config_file: Path | None, **flags: object
) -> None:
    """Remove names of images; with its last name an image goes, and what nothing else needs of it.

    \b
    Examples:
      shoal rmi team/app:1
      shoal rmi -f $(shoal images -q --filter dangling=true)

    Exit codes: 0 done, 2 in use otherwise (see -f) or a mistaken reference, 3 no such image, 6 disk.
    """
    settings = load(config_file, flags, logs=False)
    total, code = Removed(), 0
    with local_store(settings) as store:
        for text in references:
            try:
                removed = Remover(store).remove(text, force=force)
            except (InputError, NotFound) as error:  # the others go all the same
                click.echo(f"shoal: {redact(str(error))}", err=True)
                code = code or exit_code_of(error)
                continue
            if not as_json:
                echo_removed(removed, "Untagged", "Deleted")
            total.untagged += removed.untagged
            total.deleted += removed.deleted
            total.freed_bytes += removed.freed_bytes
        announce(settings, store)
    if as_json:
        click.echo(json.dumps(removed_json(total)))
    sys.exit(code)


def echo_removed(removed: Removed, untagged: str, deleted: str) -> None:
    for name in removed.untagged:
        click.echo(f"{untagged}: {name}")
    for digest in removed.deleted:
        click.echo(f"{deleted}: {digest}")


def removed_json(removed: Removed) -> dict[str, object]:
    """Documented in docs/commands.md."""
    return {
        "untagged": removed.untagged,
        "deleted": [str(digest) for digest in removed.deleted],
        "freed_bytes": removed.freed_bytes,
    }
