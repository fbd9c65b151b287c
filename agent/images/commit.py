"""`commit_directory`, `commit_container`: one layer more on top of an image, of what changed; and a changed config."""

import platform as machine
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.content.digest import Digest
from agent.content.image_config import HistoryEntry, time_text
from agent.content.platform import Platform
from agent.content.reference import Reference
from agent.images.catalog import Catalog
from agent.images.config_changes import apply_changes
from agent.images.disk_tree import DiskTree
from agent.images.engine_container import EngineContainer
from agent.images.image_layers import image_root_fs
from agent.images.inspection import config_of
from agent.images.layer_diff import Changes, changes_between, write_layer
from agent.images.layer_facts import LayerFacts, read_layer
from agent.images.load import load_archive
from agent.images.local_image import LocalImage
from agent.images.new_image import NewImage, make_image
from agent.images.removing import Remover
from agent.images.root_fs import RootFs
from agent.images.tar_reader import PIECE_BYTES
from agent.store.staging import StagedBlob, Staging
from agent.store.store import Store


@dataclass(frozen=True, slots=True)
class CommitOptions:
    """changes: instructions as of `-c`. pause: a running container, while it is read."""

    changes: Sequence[str] = ()
    message: str = ""
    author: str = ""
    pause: bool = True


def commit_directory(
    store: Store, directory: Path, base: LocalImage | None, name: Reference | None, options: CommitOptions
) -> Digest:
    """`directory`: the whole root file system as it is to be. Its image ID.

    Raises InputError, ContentError, DiskError.
    """
    runtime = apply_changes({} if base is None else dict(config_of(base).runtime), options.changes)
    with store.holding([] if base is None else [base.root.digest]), store.staging() as staging:
        old = RootFs() if base is None else image_root_fs(store, base)
        tree = DiskTree(directory)
        new = RootFs()
        new.apply_entries(tree.entries, tree.open_tar)
        layer = _layer(staging, new, changes_between(old, new))
        return _make(store, staging, base, layer, runtime, "shoal commit", name, options)


def commit_container(
    store: Store, container: EngineContainer, name: Reference | None, options: CommitOptions
) -> Digest:
    """Its image ID. The image that the container was made of is taken from the engine where it is not here.

    Raises AgentError, InputError, ContentError, DiskError.
    """
    runtime = apply_changes(container.runtime, options.changes)
    base, is_borrowed = _base_of(store, container)
    with store.holding([base.root.digest]), store.staging() as staging:
        with container.paused(wanted=options.pause):
            changes = container.changes()
            spool = staging.new()
            if changes:
                with container.exported() as read:
                    while piece := read(PIECE_BYTES):
                        spool.write(piece)
            spool.seal()
        new = RootFs.of([spool.reader]) if changes else RootFs()
        layer = _layer(staging, new, changes.settled(new))
        made = _make(store, staging, base, layer, runtime, container.command, name, options)
    if is_borrowed:  # its layers stay with the new image
        Remover(store).remove_images(Catalog.of(store), [base], [])
    return made


def _base_of(store: Store, container: EngineContainer) -> tuple[LocalImage, bool]:
    here = _with_id(store, container.image_id)
    if here is not None:
        return here, False
    with container.saved_image() as read:
        load_archive(store, read, keep_names=False)
    loaded = _with_id(store, container.image_id)
    assert loaded is not None
    return loaded, True


def _with_id(store: Store, image_id: Digest) -> LocalImage | None:
    images = Catalog.of(store).images
    return next((image for image in images if image.image_id == image_id and image.complete), None)


def _layer(staging: Staging, new: RootFs, changes: Changes) -> tuple[StagedBlob, LayerFacts] | None:
    """None where nothing changed."""
    if not changes:
        return None
    blob = staging.new()
    write_layer(new, changes, blob.write)
    blob.seal()
    return blob, read_layer(blob.reader())


def _make(
    store: Store,
    staging: Staging,
    base: LocalImage | None,
    layer: tuple[StagedBlob, LayerFacts] | None,
    runtime: dict[str, Any],
    command: str,
    name: Reference | None,
    options: CommitOptions,
) -> Digest:
    now = time.time()
    step = HistoryEntry(
        created=time_text(now),
        created_by=command,
        author=options.author,
        comment=options.message,
        empty_layer=layer is None,
    )
    of_base = None if base is None else config_of(base).platform
    new = NewImage(
        base=base,
        layer=layer,
        runtime=runtime,
        step=step,
        platform=of_base or Platform.of_machine(machine.machine()),
        comment=options.message,
        author=options.author,
    )
    return make_image(store, staging, new, name, now)
