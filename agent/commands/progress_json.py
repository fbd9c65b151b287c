"""PullProgress from the lines of the agent's answer (written by agent/node/admin.py)."""

from typing import Any

from agent.content.digest import Digest
from agent.content.reference import Reference
from agent.node.pull_progress import LayerProgress, PullProgress


def progress_of(line: dict[str, Any]) -> PullProgress:
    """Raises KeyError, TypeError, ValueError or InputError for what is no progress."""
    digest = line["digest"]
    return PullProgress(
        reference=Reference.parse(line["reference"]),
        digest=None if digest is None else Digest.parse(digest),
        stale=bool(line["stale"]),
        was_here=bool(line["was_here"]),
        layers=tuple(_layer_of(layer) for layer in line["layers"]),
    )


def _layer_of(line: dict[str, Any]) -> LayerProgress:
    return LayerProgress(
        digest=Digest.parse(line["digest"]),
        size=int(line["size"]),
        state=str(line["state"]),
        done_bytes=int(line["done_bytes"]),
        registry_bytes=int(line["registry_bytes"]),
        peer_bytes=int(line["peer_bytes"]),
    )
