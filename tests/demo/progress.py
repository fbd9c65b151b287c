"""`NodeProgress`: how far one node's pull is. What fills it: node_pull; what shows it: view."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

State = Literal["starting", "pulling", "done", "failed"]

_RATE_SECONDS = 1.0


@dataclass(slots=True)
class NodeProgress:
    """Bytes of config and layers while it runs; `registry_bytes` and `peer_bytes` include documents in the end.
    `seconds`: from the start of all pulls to the end of this one."""

    name: str
    state: State = "starting"
    digest: str | None = None
    total_bytes: int = 0
    done_bytes: int = 0
    registry_bytes: int = 0
    peer_bytes: int = 0
    seconds: float = 0.0
    failure: str | None = None
    _samples: deque[tuple[float, int]] = field(default_factory=deque)

    def on_line(self, line: Mapping[str, Any], seconds: float) -> None:
        """One line of the answer to POST /v1/pull."""
        layers: Sequence[Mapping[str, Any]] = line["layers"]
        self.digest = line["digest"] or self.digest
        self.total_bytes = sum(layer["size"] for layer in layers)
        self.done_bytes = sum(layer["done_bytes"] for layer in layers)
        self.registry_bytes = sum(layer["registry_bytes"] for layer in layers)
        self.peer_bytes = sum(layer["peer_bytes"] for layer in layers)
        self.seconds = seconds
        self._samples.append((seconds, self.done_bytes))
        while len(self._samples) > 2 and seconds - self._samples[0][0] > _RATE_SECONDS:
            self._samples.popleft()
        match line.get("outcome"):
            case "done":
                self.state = "done"
            case "failed":
                self.fail(f"{line['kind']}: {line['error']}")

    def fail(self, why: str) -> None:
        self.state, self.failure = "failed", why

    @property
    def bytes_per_second(self) -> float:
        """Lately; of the whole pull once it is done."""
        if self.state == "done":
            return self.done_bytes / self.seconds if self.seconds else 0.0
        if len(self._samples) < 2:
            return 0.0
        (then, before), (now, after) = self._samples[0], self._samples[-1]
        return (after - before) / max(now - then, 0.1)

    @property
    def share_from_peers(self) -> float:
        received = self.registry_bytes + self.peer_bytes
        return self.peer_bytes / received if received else 0.0
