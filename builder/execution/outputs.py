"""Where an image goes beside the store: archives, a tar of its files, a directory; and all its new layers as one.

Blocking. A file appears when it is whole (agent/commands/streams.py).
"""

import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from agent.content import media_types
from agent.content.document import Descriptor, parse_document
from agent.content.errors import ContentError, InputError
from agent.content.reference import Reference
from agent.images.layer_diff import changes_between, write_layer
from agent.images.layout_directory import write_layout
from agent.images.local_image import LocalImage, read_config
from agent.images.names import UNTAGGED, name_for_containerd
from agent.images.root_fs import RootFs
from agent.images.save import SavedImage, save_archive
from agent.images.stored_blob import plain_stream
from agent.images.tar_reader import Read
from agent.store.disk_errors import disk_errors
from agent.store.store import Store
from builder.execution.images import BuiltImage, blobs_of, root_of, squashed_image
from builder.execution.index_archive import write_index_archive
from builder.execution.solver import Solved
from builder.execution.stoppable_output import open_stoppable
from builder.layers.archives import unpack_archive
from builder.layers.interruption import stop_if_cancelled
from builder.layers.layer_output import LayerOutput
from builder.layers.recipes import Recipe
from builder.output import Output
from builder.plan.layer import Layer
from builder.plan.planned_image import PlannedImage

_OF_SEVERAL_PLATFORMS = ("store", "oci", "local", "cacheonly")


def check_output(output: Output, *, several: bool) -> None:
    """Before a long build and not behind it. several: platforms. Raises InputError."""
    if several and output.kind not in _OF_SEVERAL_PLATFORMS:
        raise InputError(
            f"--output type={output.kind} takes one platform: type=image, oci and local take several"
        )
    if output.kind in ("store", "cacheonly"):
        return
    place = Path(output.destination)
    if output.kind == "local" or output.is_directory:
        if place.exists() and not place.is_dir():
            raise InputError(f"--output dest={output.destination}: expected a directory, or nothing yet")
    elif output.destination == "-":
        if sys.stdout.isatty():
            raise InputError(
                f"--output type={output.kind} goes to standard output, which is a terminal: give dest=FILE, or redirect"
            )
    elif place.is_dir() or not place.absolute().parent.is_dir():
        raise InputError(f"--output dest={output.destination}: expected a file in a directory that is there")


def write_output(
    store: Store, images: Sequence[BuiltImage], names: Sequence[Reference], output: Output
) -> Descriptor | None:
    """What was written, where that is an image. Raises InputError for a terminal or a place that cannot be written,
    ContentError, DiskError."""
    if output.is_directory:
        _write_layout(store, images, names, Path(output.destination))
    elif len(images) > 1:
        _write_several(store, images, names, output)
    else:
        _write_one(store, images[0], names, output)
    return root_of(store, images) if output.is_image else None


def _write_several(
    store: Store, images: Sequence[BuiltImage], names: Sequence[Reference], output: Output
) -> None:
    if output.kind == "local":  # as BuildKit names them
        for image in images:
            name = str(image.platform).replace("/", "_")
            _write_directory(store, image, Path(output.destination) / name)
        return
    index = root_of(store, images)
    blobs = [blob for image in images for blob in blobs_of(image)]
    with store.holding([index.digest]), open_stoppable(output.destination, "write an image") as write:
        write_index_archive(store, index, blobs, names, write)


def _write_one(store: Store, image: BuiltImage, names: Sequence[Reference], output: Output) -> None:
    match output.kind:
        case "oci" | "docker":
            saved = SavedImage(
                local_image(store, [image]), [(name.repository, name.tag or "latest") for name in names]
            )
            with open_stoppable(output.destination, "write an image") as write:
                save_archive(store, [saved], write)
        case "tar":
            with open_stoppable(output.destination, "write a root file system") as write:
                _root_fs(store, image.layers).export(write)
        case "local":
            _write_directory(store, image, Path(output.destination))
        case _:
            raise InputError(f"there is no output {output.kind}")


def _write_layout(
    store: Store, images: Sequence[BuiltImage], names: Sequence[Reference], directory: Path
) -> None:
    image = local_image(store, images)
    for name in names or (None,):
        tag = "" if name is None else name.tag or "latest"
        full = "" if name is None else name_for_containerd(name.repository, tag)
        write_layout(store, image, directory, tag, _stop, as_it_is=True, full_name=full)


def _stop(_written_bytes: int) -> None:
    stop_if_cancelled()


def squash(store: Store, planned: PlannedImage, solved: Solved, recipe: Recipe) -> BuiltImage:
    """Raises ContentError, DiskError."""
    base = planned.base_layers
    old, new = _root_fs(store, base), _root_fs(store, planned.layers(solved.layers))
    with store.staging() as staging, LayerOutput(staging.new(), recipe) as written:
        write_layer(new, changes_between(old, new), written.write)
        layer = written.finish()
        with store.holding([layer.blob.digest]):
            return squashed_image(store, planned, solved, layer)


def _root_fs(store: Store, layers: Sequence[Layer]) -> RootFs:
    def opener(layer: Layer) -> Callable[[], Read]:
        return lambda: plain_stream(store, layer.blob.digest).read

    return RootFs.of([opener(layer) for layer in layers])


def _write_directory(store: Store, image: BuiltImage, directory: Path) -> None:
    root_fs = _root_fs(store, image.layers)
    with disk_errors("write the files of the image", directory):
        directory.mkdir(parents=True, exist_ok=True)
        with _piped(root_fs.export) as read:
            unpack_archive(read, directory)


@contextmanager
def _piped(produce: Callable[[Callable[[bytes], object]], None]) -> Iterator[Read]:
    """What `produce` writes is read at the same time."""
    reading, writing = os.pipe()
    failures: list[BaseException] = []

    def run() -> None:
        try:
            with open(writing, "wb") as file:
                produce(file.write)
        except BaseException as error:  # noqa: BLE001 -- raised again below
            failures.append(error)

    thread = threading.Thread(target=run, name="export")
    thread.start()
    with open(reading, "rb") as source:
        try:
            yield source.read
        finally:
            source.close()
            thread.join()
    if failures and not isinstance(failures[0], BrokenPipeError):
        raise failures[0]


def local_image(store: Store, images: Sequence[BuiltImage]) -> LocalImage:
    """Of several: their index. Raises ContentError, DiskError."""
    image = images[0]
    body = store.read(image.manifest.digest, 1 << 23)
    if body is None:
        raise ContentError(f"{image.manifest.digest} is not in the store")
    document = parse_document(body)
    assert document.config is not None
    config = read_config(store, Descriptor(media_types.OCI_CONFIG, image.image_id, document.config.size))
    root = root_of(store, images)
    return LocalImage(UNTAGGED, None, root, image.manifest, document, config, root.size, True, 0.0)
