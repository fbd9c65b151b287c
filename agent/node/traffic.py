"""`Traffic`: bytes moved since the start, and how fast lately; what `shoal status` shows beside the metrics."""

from collections import deque

import trio

from agent.telemetry.metrics import Metrics, Receiver, Source

_SAMPLE_SECONDS = 1.0
_SAMPLES = 10


class Traffic:
    """Counts for people (totals, rates) and for Prometheus at once."""

    def __init__(self, metrics: Metrics) -> None:
        self.totals = {"registry_in": 0, "peers_in": 0, "peers_out": 0, "clients_out": 0}
        self._metrics = metrics
        self._samples: deque[tuple[float, dict[str, int]]] = deque(maxlen=_SAMPLES)

    def count_received(self, source: Source, count: int) -> None:
        self.totals["registry_in" if source == "registry" else "peers_in"] += count
        self._metrics.count_received(source, count)

    def count_sent(self, to: Receiver, count: int) -> None:
        self.totals["clients_out" if to == "client" else "peers_out"] += count
        self._metrics.count_sent(to, count)

    def rates(self) -> dict[str, float]:
        """Bytes per second over the last ten seconds or so."""
        if not self._samples:
            return dict.fromkeys(self.totals, 0.0)
        at, before = self._samples[0]
        seconds = max(trio.current_time() - at, _SAMPLE_SECONDS)
        return {key: (total - before[key]) / seconds for key, total in self.totals.items()}

    def share_from_peers(self) -> float | None:
        """Of all bytes received; None where none were."""
        received = self.totals["registry_in"] + self.totals["peers_in"]
        return self.totals["peers_in"] / received if received else None

    async def run(self) -> None:
        while True:
            self._samples.append((trio.current_time(), dict(self.totals)))
            await trio.sleep(_SAMPLE_SECONDS)
