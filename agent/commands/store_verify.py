"""`shoal store verify`: every blob is read and hashed again."""

import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import click

from agent.commands.byte_progress import ByteProgress
from agent.commands.exit_codes import CONTENT
from agent.commands.local_store import local_store
from agent.commands.outer_flags import load_merged
from agent.commands.quantities import counted, seconds_text, size_text
from agent.commands.running import config_flag
from agent.commands.sectioned_command import SectionedCommand
from agent.content.digest import Digest
from agent.settings.flags import settings_flags
from agent.store.store import Store


@dataclass(slots=True)
class Verified:
    """damaged: found damaged or gone, now or before, and not here again."""

    blobs: int = 0
    bytes: int = 0
    seconds: float = 0.0
    damaged: list[Digest] = field(default_factory=list)


@click.command(cls=SectionedCommand)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@config_flag
@settings_flags("node", "store")
def verify(as_json: bool, config_file: Path | None, **flags: object) -> None:
    """Read every blob and check it against its digest; a damaged one is removed, so that nobody is served it.

    Beside a running agent, too. `shoal store repair` fetches again what was damaged.

    \b
    Example:
      shoal store verify

    Exit codes: 0 all is whole, 2 mistaken configuration, 6 disk, 7 something is damaged or missing.
    """
    settings = load_merged(config_file, flags)
    with local_store(settings, create=True) as store:
        found = verify_store(store)
        needed_by = {digest: images_with(store, digest) for digest in found.damaged}
    if as_json:
        click.echo(
            json.dumps(
                {
                    "blobs": found.blobs,
                    "bytes": found.bytes,
                    "seconds": round(found.seconds, 3),
                    "damaged": [{"digest": str(one), "needed_by": needed_by[one]} for one in found.damaged],
                }
            )
        )
    else:
        told = f"{counted(found.blobs, 'blob')}, {size_text(found.bytes)}, in {seconds_text(found.seconds)}"
        click.echo(f"Verified {told}")
        for digest in found.damaged:
            click.echo(f"Damaged: {digest}, needed by {', '.join(needed_by[digest]) or 'no image'}")
        if found.damaged:
            click.echo("`shoal store repair` fetches them again.")
    sys.exit(CONTENT if found.damaged else 0)


def verify_store(store: Store) -> Verified:
    """Raises DiskError."""
    found, began = Verified(), time.monotonic()
    blobs = store.complete_digests()
    with ByteProgress("Verifying", sum(size for _, size in blobs)) as progress:
        for digest, size in blobs:
            if store.verify(digest):
                found.blobs += 1
                found.bytes += size
            progress(size)
    found.damaged = store.damaged()
    found.seconds = time.monotonic() - began
    return found


def images_with(store: Store, digest: Digest) -> list[str]:
    """Names of the images that need it."""
    graph_names = [
        f"{tag.repository}:{tag.tag}"
        for tag in store.tags()
        if digest in store.needs_of(tag.descriptor.digest)
    ]
    return sorted(graph_names)
