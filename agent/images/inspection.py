"""What `inspect` and `history` tell of an image, in Docker's words and fields. PURE but for its inputs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.content.errors import ContentError
from agent.content.image_config import HistoryEntry, ImageConfig, time_text
from agent.images.catalog import Catalog
from agent.images.local_image import LocalImage

# What Docker's own `Config` always has, so that a template may name it.
_RUNTIME_DEFAULTS: Mapping[str, Any] = {
    "Hostname": "",
    "Domainname": "",
    "User": "",
    "AttachStdin": False,
    "AttachStdout": False,
    "AttachStderr": False,
    "Tty": False,
    "OpenStdin": False,
    "StdinOnce": False,
    "Env": None,
    "Cmd": None,
    "Image": "",
    "Volumes": None,
    "WorkingDir": "",
    "Entrypoint": None,
    "OnBuild": None,
    "Labels": None,
}


def config_of(image: LocalImage) -> ImageConfig:
    """Raises ContentError where it is not here."""
    if image.config is None:
        raise ContentError(f"{image.root.digest} is not here completely, or is no image: pull it again")
    return image.config


def inspected(catalog: Catalog, image: LocalImage) -> dict[str, Any]:
    """Docker's object. Raises ContentError."""
    config = config_of(image)
    platform = config.platform
    return {
        "Id": str(image.image_id),
        "RepoTags": catalog.names_of(image),
        "RepoDigests": catalog.digests_of(image),
        "Parent": str(config.raw.get("parent") or ""),
        "Comment": str(config.raw.get("comment") or ""),
        "Created": config.created or "",
        "DockerVersion": str(config.raw.get("docker_version") or ""),
        "Author": config.author,
        "Config": {**_RUNTIME_DEFAULTS, **config.runtime},
        "Architecture": platform.architecture,
        **({"Variant": platform.variant} if platform.variant else {}),
        "Os": platform.os,
        "Size": image.size,
        "RootFS": {"Type": "layers", "Layers": [str(diff_id) for diff_id in config.diff_ids]},
        "Metadata": {"LastTagTime": time_text(image.pulled_at)},
    }


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """`size`: bytes of its layer here, compressed as it is; 0 where it made none."""

    image: str | None
    entry: HistoryEntry
    size: int


def history_rows(image: LocalImage) -> list[HistoryRow]:
    """Newest first; the newest has the image's ID. Raises ContentError."""
    config = config_of(image)
    sizes = iter([layer.size for layer in image.layers])
    entries = config.history or tuple(HistoryEntry(created=config.created) for _ in image.layers)
    rows = [HistoryRow(None, entry, 0 if entry.empty_layer else next(sizes, 0)) for entry in entries]
    rows.reverse()
    if rows:
        rows[0] = HistoryRow(str(image.image_id), rows[0].entry, rows[0].size)
    return rows
