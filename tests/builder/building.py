"""Builds in this process: on a store of their own, with images that the test puts there, and what they say kept."""

import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.content import media_types
from agent.content.digest import Digest
from agent.content.document import Descriptor
from agent.content.errors import NotFound
from agent.content.platform import Platform
from agent.content.reference import Reference
from agent.images.keeping import keep_image
from agent.images.names import given_name
from agent.images.new_image import manifest_body
from agent.settings.loader import load_settings
from agent.store.store import Store
from builder.build import BuildOutcome, Surroundings, build
from builder.progress.events import Event
from builder.request import BuildRequest

AMD64 = Platform("linux", "amd64")


@dataclass
class Told:
    """A view that keeps what it is shown."""

    events: list[Event] = field(default_factory=list)

    def show(self, event: Event) -> None:
        self.events.append(event)

    def outcomes(self) -> dict[str, str]:
        return {one.task.title: one.outcome for one in self.events if hasattr(one, "outcome")}


def tar_of(files: Mapping[str, bytes]) -> bytes:
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            tar.addfile(entry, io.BytesIO(content))
    return body.getvalue()


def put_image(
    store: Store,
    name: str,
    platform: Platform = AMD64,
    files: Mapping[str, bytes] | None = None,
    **config: Any,
) -> Descriptor:
    """Of one layer, uncompressed."""
    layer = tar_of(files or {"etc/who": name.encode()})
    body = json.dumps(
        {
            "architecture": platform.architecture,
            "os": platform.os,
            "created": "2020-01-01T00:00:00Z",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [str(Digest.of(layer))]},
        }
    ).encode()
    document = manifest_body(
        Descriptor(media_types.OCI_CONFIG, Digest.of(body), len(body)),
        [Descriptor(media_types.OCI_LAYER, Digest.of(layer), len(layer))],
    )
    root = Descriptor(media_types.OCI_MANIFEST, Digest.of(document), len(document))
    with store.holding([Digest.of(layer), Digest.of(body), root.digest]):
        for one in (layer, body, document):
            store.put(Digest.of(one), one)
        keep_image(store, root, given_name(name), 0.0)
    return root


async def nothing_to_pull(reference: Reference, platform: Platform) -> None:
    raise NotFound(f"there is no image {reference} for {platform}")


def surroundings(store: Store, directory: Path, **settings: object) -> Surroundings:
    environment = {"HOME": str(directory), "SHOAL_NODE_DATA_DIR": str(directory / "data")}
    environment |= {f"SHOAL_{name.upper()}": str(value) for name, value in settings.items()}
    return Surroundings(load_settings(None, environment, {}), store, nothing_to_pull, environment={})


async def build_in(
    directory: Path, store: Store, dockerfile: str, view: Told | None = None, **request: Any
) -> BuildOutcome:
    """The context is `directory/context`."""
    context = directory / "context"
    context.mkdir(exist_ok=True)
    (context / "Dockerfile").write_text(dockerfile)
    wanted = BuildRequest(context=str(context), **request)
    return await build(wanted, surroundings(store, directory), view or Told())
