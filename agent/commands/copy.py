"""`shoal copy`: an image from a registry, a layout, an archive or the store into another of them."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import time

import click

from agent.commands.announcing import announce
from agent.commands.byte_progress import ByteProgress
from agent.commands.local_store import local_store, told_failures
from agent.commands.lone_node import with_lone_node
from agent.commands.running import config_flag, load, run_async
from agent.commands.sectioned_command import SectionedCommand
from agent.commands.streams import open_input, open_output
from agent.content.digest import Digest
from agent.content.document import Descriptor
from agent.content.errors import InputError, ShoalError
from agent.content.platform import Platform
from agent.content.reference import Reference, Repository
from agent.images.borrowing import borrowed
from agent.images.catalog import Catalog
from agent.images.keeping import tag_image
from agent.images.layout_directory import open_layout, write_layout
from agent.images.local_image import LocalImage
from agent.images.names import given_name
from agent.images.place import Place
from agent.images.save import SavedImage, save_archive
from agent.settings.flags import settings_flags
from agent.settings.settings import Settings
from agent.store.store import Store

OnBytes = Callable[[int], None]


@click.command(cls=SectionedCommand)
@click.argument("source", metavar="SOURCE")
@click.argument("destination", metavar="DESTINATION")
@click.option(
    "--platform", metavar="OS/ARCH[/VARIANT]", help="Of a registry's index. [default: this machine's]"
)
@click.option("--all", "-a", "all_platforms", is_flag=True, help="Of a registry's index: every platform.")
@click.option("--preserve-digests", is_flag=True, help="Into a layout: Docker's manifests as they are.")
@click.option("--quiet", "-q", is_flag=True, help="Show no progress.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@config_flag
@settings_flags("node", "store", "tracker", "admin", "credentials", "upstreams")
def copy(
    source: str,
    destination: str,
    platform: str | None,
    all_platforms: bool,
    preserve_digests: bool,
    quiet: bool,
    as_json: bool,
    config_file: Path | None,
    **flags: object,
) -> None:
    """Copy an image; configs and layers stay as they are, byte for byte, and so does the image ID.

    \b
    SOURCE       docker://NAME[:TAG]  oci:DIRECTORY[:NAME]  oci-archive:FILE[:NAME]
                 docker-archive:FILE[:NAME]  store:NAME[:TAG]
    DESTINATION  the same; docker://NAME[:TAG] pushes to a registry, as `shoal push` does

    A layout has Docker's manifests in OCI's form, which its readers insist on; all else keeps its digest.

    From a registry the image comes as `shoal pull` brings it, and stays in the store. Anything else is checked in the
    store on its way, and leaves it again.

    \b
    Examples:
      shoal copy docker://alpine oci:./layout:alpine
      shoal copy --all docker://quay.io/prometheus/busybox oci-archive:busybox.tar
      shoal copy oci:./layout:app store:team/app:1
      shoal copy docker-archive:app.tar docker://registry.example/team/app:1

    Exit codes: 0 done, 2 mistaken place, 3 no such image, 4 credentials, 5 registry unreachable, 6 disk, 7 damaged.
    """
    settings = load(config_file, flags, logs=False)
    with told_failures():
        origin, target = Place.parse(source), Place.parse(destination)
        if target.transport == "docker":
            _push_target(target.name)
        if (platform or all_platforms) and origin.transport != "docker":
            raise InputError("--platform and --all choose from a registry's index")
        if origin.transport == "docker":
            run_async(_pull, settings, origin.name, platform, all_platforms)
        with local_store(settings, create=True) as store, ByteProgress("Copying", quiet=quiet) as progress:
            with _source(store, origin, progress) as image:
                if target.transport == "docker":
                    digest = run_async(_push, settings, store, image, target.name, progress)
                else:
                    digest = _write(store, image, target, progress, as_it_is=preserve_digests)
                told = {"digest": str(digest), "image_id": str(image.image_id), "to": str(target)}
            if target.transport == "store":
                announce(settings, store)
    click.echo(json.dumps(told) if as_json else told["digest"])


async def _push(settings: Settings, store: Store, image: LocalImage, name: str, on_bytes: OnBytes) -> Digest:
    from agent.commands.pushing import (
        push_to_registry,
        tell_left_out,
    )  # without a registry none of this is loaded
    from agent.images.pushing import plan_push

    plan = plan_push(store, image)
    tell_left_out(plan)
    await push_to_registry(settings, store, plan, _push_target(name), _Counting(on_bytes))
    return plan.root.digest


def _push_target(name: str) -> Reference:
    from agent.commands.pushing import push_target

    return push_target(name)


class _Counting:
    """A PushView that counts bytes alone."""

    def __init__(self, on_bytes: OnBytes) -> None:
        self._on_bytes = on_bytes
        self._sent: dict[Digest, int] = {}

    def on_sent(self, blob: Descriptor, sent_bytes: int) -> None:
        self._on_bytes(sent_bytes - self._sent.get(blob.digest, 0))
        self._sent[blob.digest] = sent_bytes

    def on_blob(self, blob: Descriptor, outcome: str, source: Repository | None) -> None:
        """It is done."""


async def _pull(settings: Settings, name: str, platform: str | None, all_platforms: bool) -> None:
    from agent.commands.pull import pull_image  # with another source none of this is loaded

    reference = Reference.parse(name)
    if all_platforms:
        await _pull_everything(settings, reference)
    else:
        wanted = None if platform is None else Platform.parse(platform)
        await pull_image(settings, reference, wanted, _unseen)


def _unseen(_progress: object) -> None:
    """Nobody watches."""


async def _pull_everything(settings: Settings, reference: Reference) -> None:
    """All that an index leads to. Raises ShoalError."""
    failure: ShoalError | None = None
    async with with_lone_node(settings) as node:
        try:
            await node.puller.pull_everything(reference)
        except ShoalError as error:
            failure = error  # an expected failure does not travel through the node's nurseries
    if failure is not None:
        raise failure


@contextmanager
def _source(store: Store, place: Place, on_bytes: OnBytes) -> Iterator[LocalImage]:
    match place.transport:
        case "docker":
            yield _pulled(store, Reference.parse(place.name))
        case "store":
            yield Catalog.of(store).find(place.name).image
        case "oci":
            with borrowed(store, open_layout(Path(place.path), place.name), "", on_bytes) as image:
                yield image
        case _:
            with (
                open_input(place.path, "copy") as file,
                borrowed(store, file.read, place.name, on_bytes) as image,
            ):
                yield image


def _pulled(store: Store, reference: Reference) -> LocalImage:
    """By its own name, not the cluster's of the same."""
    found = [
        one
        for one in Catalog.of(store).images
        if one.repository == reference.repository
        and (one.root.digest == reference.digest if reference.digest else one.tag == reference.tag)
    ]
    if not found:
        raise InputError(
            f"{reference} was pulled, and is gone from the store already: is its quota too small?"
        )
    return found[0]


def _write(store: Store, image: LocalImage, place: Place, on_bytes: OnBytes, *, as_it_is: bool) -> Digest:
    """The digest that it has there."""
    match place.transport:
        case "store":
            tag_image(store, image, given_name(place.name), time())
        case "oci":
            directory = Path(place.path)
            return write_layout(store, image, directory, place.name, on_bytes, as_it_is=as_it_is).digest
        case _:
            if Path(place.path).is_file() and Path(place.path).stat().st_size:
                raise InputError(f"{place.path} is there already: an archive cannot be added to")
            name = given_name(place.name) if place.name else None
            names = [(name.repository, name.tag)] if name is not None and name.tag else []
            with open_output(place.path, "copy") as file:
                save_archive(store, [SavedImage(image, names)], file.write, on_bytes)
            return image.manifest.digest
    return image.root.digest
