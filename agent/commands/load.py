"""`shoal load`: the images of an archive into this node's store."""

import json
from pathlib import Path
from typing import Any

import click

from agent.commands.announcing import announce
from agent.commands.byte_progress import ByteProgress
from agent.commands.local_store import local_store, told_failures
from agent.commands.running import config_flag
from agent.commands.running import load as load_settings
from agent.commands.sectioned_command import SectionedCommand
from agent.commands.streams import open_input
from agent.images.load import Loaded, load_archive
from agent.images.names import archived_name, plain_name
from agent.settings.flags import settings_flags


@click.command(cls=SectionedCommand)
@click.option("--input", "-i", "file", metavar="FILE", help="Read from a file. [default: standard input]")
@click.option("--quiet", "-q", is_flag=True, help="Show no progress.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array of what was loaded.")
@config_flag
@settings_flags("node", "store")
def load(file: str | None, quiet: bool, as_json: bool, config_file: Path | None, **flags: object) -> None:
    """Load images from a tar: of any Docker, of podman, skopeo, `shoal save`, or of an OCI layout.

    The tar may be compressed. Names without a registry become names of this cluster. Nothing is kept of an archive that
    is truncated, or whose layers are not what its images say.

    \b
    Examples:
      shoal load -i app.tar
      docker save team/app:1 | shoal load
      shoal load -q < alpine.tar.gz

    Exit codes: 0 done, 2 no such file, or standard input is a terminal, 6 disk, 7 no image archive, or a damaged one.
    """
    settings = load_settings(config_file, flags, logs=False)
    with (
        told_failures(),
        open_input(file, "load") as stream,
        local_store(settings, create=True) as store,
        ByteProgress("Loading", _size_of(file), quiet=quiet) as progress,
    ):
        loaded = load_archive(store, stream.read, progress)
        announce(settings, store)
    if as_json:
        click.echo(json.dumps([_json(one) for one in loaded]))
        return
    for one in loaded:
        for name in one.names:
            click.echo(f"Loaded image: {_familiar(name)}")
        if not one.names:
            click.echo(f"Loaded image ID: {one.image_id}")


def _familiar(name: str) -> str:
    """As it can be asked for here, whichever tool wrote the archive."""
    reference = archived_name(name)
    return f"{plain_name(reference.repository)}:{reference.tag}"


def _json(one: Loaded) -> dict[str, Any]:
    return {"image_id": str(one.image_id), "digest": str(one.root.digest), "names": list(one.names)}


def _size_of(file: str | None) -> int | None:
    return Path(file).stat().st_size if file and Path(file).is_file() else None
