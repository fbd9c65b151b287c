"""`TrackerMetrics`: what a tracker counts. As in `Metrics`, the labels are literals and nothing else."""

from typing import Literal

from prometheus_client import Counter, Gauge

from agent.telemetry.page import MetricsPage

LeaseEvent = Literal["granted", "expired", "done", "returned"]
ResolveOutcome = Literal["known", "leased", "waiting", "error"]


class TrackerMetrics:
    """On a page of its own, or on the agent's where both are one process."""

    def __init__(self, page: MetricsPage | None = None) -> None:
        self.page = page if page is not None else MetricsPage()
        counter, gauge = self._counter, self._gauge
        self._announces = counter("announces", "Calls of nodes that tell what changed.")
        self._resolves = counter("resolves", "Calls that ask for a tag.", "outcome")
        self._leases = counter("leases", "Leases for reading from a registry.", "event")
        self._bans = counter("bans", "Nodes banned on the evidence of others.")
        self._rejects = counter("rejected_calls", "Calls that were malformed or not allowed.")
        self._nodes = gauge("nodes", "Nodes known.")
        self._swarms = gauge("swarms", "Swarms known.")
        self._running_leases = gauge("running_leases", "Leases that have neither ended nor expired.")

    def count_announce(self) -> None:
        self._announces.inc()

    def count_resolve(self, outcome: ResolveOutcome) -> None:
        self._resolves.labels(outcome).inc()

    def count_lease(self, event: LeaseEvent, leases: int = 1) -> None:
        self._leases.labels(event).inc(leases)

    def count_ban(self) -> None:
        self._bans.inc()

    def count_rejected_call(self) -> None:
        self._rejects.inc()

    def set_directory(self, nodes: int, swarms: int, leases: int) -> None:
        self._nodes.set(nodes)
        self._swarms.set(swarms)
        self._running_leases.set(leases)

    def render(self) -> tuple[str, bytes]:
        """Content type and body, in Prometheus' text form."""
        return self.page.render()

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return self.page.add(Counter(f"shoal_tracker_{name}_total", text, labels, registry=None))

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return self.page.add(Gauge(f"shoal_tracker_{name}", text, labels, registry=None))
