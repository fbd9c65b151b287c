"""`import_tar`: a root file system, as a tar, becomes an image of one layer."""

import platform as machine
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from agent.content.digest import Digest
from agent.content.errors import ContentError
from agent.content.image_config import HistoryEntry, time_text
from agent.content.platform import Platform
from agent.content.reference import Reference
from agent.images.archive_files import OnBytes, unseen
from agent.images.config_changes import apply_changes
from agent.images.layer_facts import read_layer
from agent.images.load import in_layer_form
from agent.images.new_image import NewImage, make_image
from agent.images.rooted_tar import rooted_tar
from agent.images.tar_reader import PIECE_BYTES, Read
from agent.store.staging import StagedBlob, Staging
from agent.store.store import Store


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """changes: instructions as of `-c`. source: how the comment names where it came from. platform None: this one's."""

    changes: Sequence[str] = ()
    message: str = ""
    source: str = "-"
    platform: Platform | None = field(default=None)


def import_tar(
    store: Store, read: Read, name: Reference | None, options: ImportOptions, on_bytes: OnBytes = unseen
) -> Digest:
    """Its image ID. The tar may be compressed; read to its end, and kept as it came (bzip2 and xz apart, which layers
    cannot have, and names that begin with a slash, which they lose). Raises ContentError for what is no tar, InputError
    for a change that is none, DiskError."""
    runtime = apply_changes({}, options.changes)
    with store.staging() as staging:
        blob = staging.new()
        while piece := read(PIECE_BYTES):
            blob.write(piece)
            on_bytes(len(piece))
        blob.seal()
        if not blob.size:
            raise ContentError("there is nothing to import: the input is empty")
        facts = read_layer(blob.reader(), may_be_unrooted=True)
        if not facts.is_rooted:
            blob = _rooted(staging, blob)
            facts = read_layer(blob.reader())
        layer = in_layer_form(staging, blob, facts)
        now = time.time()
        comment = options.message or f"Imported from {options.source}"
        new = NewImage(
            base=None,
            layer=layer,
            runtime=runtime,
            step=HistoryEntry(created=time_text(now), comment=comment),
            platform=options.platform or Platform.of_machine(machine.machine()),
            comment=comment,
        )
        return make_image(store, staging, new, name, now)


def _rooted(staging: Staging, blob: StagedBlob) -> StagedBlob:
    plain = staging.new()
    rooted_tar(blob.reader(), plain.write)
    plain.seal()
    staging.drop(blob)
    return plain
