"""`shoal export`: the root file system of an image as a tar."""

from pathlib import Path

import click

from agent.commands.byte_progress import ByteProgress
from agent.commands.local_store import local_store
from agent.commands.running import config_flag, load
from agent.commands.sectioned_command import SectionedCommand
from agent.commands.streams import open_output
from agent.images.catalog import Catalog
from agent.images.image_layers import image_root_fs
from agent.settings.flags import settings_flags


@click.command(cls=SectionedCommand)
@click.argument("reference", metavar="IMAGE")
@click.option("--output", "-o", metavar="FILE", help="Write to a file. [default: standard output]")
@config_flag
@settings_flags("node", "store")
def export(reference: str, output: str | None, config_file: Path | None, **flags: object) -> None:
    """Write the root file system of an image as a tar: its layers applied, nothing unpacked on the way.

    \b
    Examples:
      shoal export alpine | tar -t
      shoal export -o root.tar team/app:1

    Exit codes: 0 done, 2 standard output is a terminal, or a mistaken reference, 3 no such image, 6 disk, 7 damaged.
    """
    settings = load(config_file, flags, logs=False)
    with local_store(settings) as store:
        image = Catalog.of(store).find(reference).image
        with store.holding([image.root.digest]), open_output(output, "export") as file:
            root_fs = image_root_fs(store, image)
            with ByteProgress("Exporting") as progress:

                def write(data: bytes) -> None:
                    file.write(data)
                    progress(len(data))

                root_fs.export(write)
