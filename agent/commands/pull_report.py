"""What `shoal pull` says at the end, for people and as JSON. PURE."""

from dataclasses import dataclass
from typing import Any

from agent.commands.quantities import counted, seconds_text, size_text
from agent.node.pull_progress import LayerProgress, PullProgress


@dataclass(frozen=True, slots=True)
class BytesBySource:
    """`here`: what this node had already, parts of an interrupted pull included."""

    registry: int
    peers: int
    here: int

    @classmethod
    def of(cls, layer: LayerProgress) -> "BytesBySource":
        """Of the layer's bytes so far; never more than these, though a byte may have come twice."""
        registry = min(layer.registry_bytes, layer.done_bytes)
        peers = min(layer.peer_bytes, layer.done_bytes - registry)
        return cls(registry, peers, layer.done_bytes - registry - peers)

    @classmethod
    def of_all(cls, progress: PullProgress) -> "BytesBySource":
        parts = [cls.of(layer) for layer in progress.layers]
        return cls(
            sum(part.registry for part in parts),
            sum(part.peers for part in parts),
            sum(part.here for part in parts),
        )

    @property
    def all(self) -> int:
        return self.registry + self.peers + self.here

    def __str__(self) -> str:
        named = (
            (self.registry, "from the registry"),
            (self.peers, "from peers"),
            (self.here, "already here"),
        )
        return ", ".join(f"{size_text(count)} {source}" for count, source in named if count) or "nothing"


def ending_lines(progress: PullProgress, seconds: float) -> list[str]:
    """The last three lines are Docker's own."""
    by_source = BytesBySource.of_all(progress)
    lines = [
        f"{size_text(by_source.all)} in {counted(len(progress.layers), 'blob')}, {seconds_text(seconds)}: {by_source}"
    ]
    if progress.stale:
        lines.append(
            "Warning: the registry could not be asked; this is what the tag meant when it last could"
        )
    status = "Image is up to date for" if progress.was_here else "Downloaded newer image for"
    return [
        *lines,
        f"Digest: {progress.digest}",
        f"Status: {status} {progress.reference}",
        str(progress.reference),
    ]


def report_json(progress: PullProgress, seconds: float, *, agent: bool) -> dict[str, Any]:
    """Documented in docs/commands.md."""
    total = BytesBySource.of_all(progress)
    return {
        "reference": str(progress.reference),
        "digest": str(progress.digest),
        "status": "up_to_date" if progress.was_here else "downloaded",
        "stale": progress.stale,
        "through_agent": agent,
        "seconds": round(seconds, 3),
        "bytes": total.all,
        "registry_bytes": total.registry,
        "peer_bytes": total.peers,
        "here_bytes": total.here,
        "layers": [_layer_json(layer) for layer in progress.layers],
    }


def _layer_json(layer: LayerProgress) -> dict[str, Any]:
    part = BytesBySource.of(layer)
    return {
        "digest": str(layer.digest),
        "size": layer.size,
        "state": layer.state,
        "registry_bytes": part.registry,
        "peer_bytes": part.peers,
        "here_bytes": part.here,
    }
