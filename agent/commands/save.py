"""`shoal save`: images of this node's store as one tar that Docker, podman, skopeo and containerd load."""

from pathlib import Path

import click

from agent.commands.byte_progress import ByteProgress
from agent.commands.local_store import local_store
from agent.commands.running import config_flag, load
from agent.commands.sectioned_command import SectionedCommand
from agent.commands.streams import open_output
from agent.images.catalog import Catalog
from agent.images.local_image import LocalImage
from agent.images.save import SavedImage, save_archive, saved_bytes
from agent.settings.flags import settings_flags


@click.command(cls=SectionedCommand)
@click.argument("references", nargs=-1, required=True, metavar="IMAGE...")
@click.option("--output", "-o", metavar="FILE", help="Write to a file. [default: standard output]")
@click.option("--quiet", "-q", is_flag=True, help="Show no progress.")
@config_flag
@settings_flags("node", "store")
def save(
    references: tuple[str, ...], output: str | None, quiet: bool, config_file: Path | None, **flags: object
) -> None:
    """Write images as a tar that `docker load`, `podman load`, skopeo, ctr and `shoal load` read.

    A name saves the image under that name, without a tag all tags of it, an ID without a name. Of an image for several
    platforms, this machine's is saved.

    \b
    Examples:
      shoal save -o app.tar team/app:1 alpine
      shoal save team/app:1 | ssh other shoal load
      shoal save alpine | gzip > alpine.tar.gz

    Exit codes: 0 done, 2 standard output is a terminal, or a mistaken reference, 3 no such image, 6 disk, 7 damaged.
    """
    settings = load(config_file, flags, logs=False)
    with local_store(settings) as store:
        images = chosen_images(Catalog.of(store), references)
        with (
            open_output(output, "save") as file,
            ByteProgress("Saving", saved_bytes(store, images), quiet=quiet) as progress,
        ):
            save_archive(store, images, file.write, progress)


def chosen_images(catalog: Catalog, references: tuple[str, ...]) -> list[SavedImage]:
    """Each image once, with all names that were asked for. Raises NotFound, InputError."""
    chosen: dict[object, SavedImage] = {}
    for text in references:
        for image, is_named in _meant(catalog, text):
            one = chosen.setdefault(image.manifest.digest, SavedImage(image))
            if is_named and image.tag is not None and (image.repository, image.tag) not in one.names:
                one.names.append((image.repository, image.tag))
    return list(chosen.values())


def _meant(catalog: Catalog, text: str) -> list[tuple[LocalImage, bool]]:
    """With each, whether it was called by its name."""
    tags = catalog.named(text)
    if tags:
        return [(image, True) for image in sorted(tags, key=lambda image: image.tag or "")]
    found = catalog.find(text)
    return [(found.image, found.by_name)]
