"""`shoal commit`: what changed in a container or a directory, as an image."""

import json
from pathlib import Path

import click

from agent.commands.announcing import announce
from agent.commands.local_store import local_store, told_failures
from agent.commands.running import config_flag, load
from agent.commands.sectioned_command import SectionedCommand
from agent.content.errors import InputError
from agent.images.catalog import Catalog
from agent.images.commit import CommitOptions, commit_container, commit_directory
from agent.images.engine_container import find_container
from agent.images.names import given_name
from agent.settings.flags import settings_flags


@click.command(cls=SectionedCommand)
@click.argument("source", metavar="CONTAINER|DIRECTORY")
@click.argument("name", metavar="[NAME[:TAG]]", required=False)
@click.option("--on", "base", metavar="IMAGE", help="Of a directory: the image that it was changed from.")
@click.option(
    "--change", "-c", "changes", multiple=True, metavar="INSTRUCTION", help="Change the config: 'CMD ...'."
)
@click.option("--message", "-m", default="", help="Comment.")
@click.option("--author", "-a", default="", help="Who made it.")
@click.option("--pause/--no-pause", "-p/ ", default=True, help="Pause a running container. [default: pause]")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@config_flag
@settings_flags("node", "store", "upstreams")
def commit(
    source: str,
    name: str | None,
    base: str | None,
    changes: tuple[str, ...],
    message: str,
    author: str,
    pause: bool,
    as_json: bool,
    config_file: Path | None,
    **flags: object,
) -> None:
    """Make an image of what changed in a container or a directory, and print its ID.

    CONTAINER is one of Docker or podman, running or stopped: NAME, docker:NAME or podman:NAME; its image is taken from
    there where it is not in the store. DIRECTORY (with a slash in it) is a whole root file system.

    \b
    Examples:
      shoal commit -m 'with tools' web team/web:2
      shoal commit --on team/base:1 -c 'ENTRYPOINT ["/app"]' ./rootfs team/app:1

    Exit codes: 0 done, 2 mistaken name or change, 3 no such container or image, 5 the engine fails, 6 disk, 7 damaged.
    """
    settings = load(config_file, flags, logs=False)
    options = CommitOptions(changes, message, author, pause)
    with told_failures():
        wanted = None if name is None else given_name(name, settings.upstream_registries)
        with local_store(settings, create=True) as store:
            if "/" in source or source in (".", ".."):
                found = None if base is None else Catalog.of(store).find(base).image
                image_id = commit_directory(store, Path(source), found, wanted, options)
            elif base is not None:
                raise InputError("--on is for directories: a container's image is known")
            else:
                image_id = commit_container(store, find_container(source), wanted, options)
            announce(settings, store)
    click.echo(json.dumps({"image_id": str(image_id), "name": name}) if as_json else str(image_id))
