"""`Meter`: brings the pure tracker's counters and totals into TrackerMetrics, whenever somebody looks at the page."""

from agent.telemetry.tracker_metrics import LeaseEvent, TrackerMetrics
from tracker.directory.tracker import Tracker


class Meter:
    def __init__(self, tracker: Tracker, metrics: TrackerMetrics) -> None:
        self._tracker = tracker
        self._metrics = metrics
        self._leases: dict[LeaseEvent, int] = {}
        self._bans = 0
        metrics.page.refresh_with(self.refresh)

    def refresh(self) -> None:
        directory, counters = self._tracker.directory, self._tracker.counters
        self._metrics.set_directory(len(directory.nodes), len(directory.swarms), len(directory.leases))
        self._count_leases("granted", counters.leases_granted + counters.leases_adopted)
        self._count_leases("done", counters.leases_completed)
        self._count_leases("expired", counters.leases_expired)
        self._count_leases("returned", counters.leases_given_up)
        while self._bans < counters.bans:
            self._metrics.count_ban()
            self._bans += 1

    def _count_leases(self, event: LeaseEvent, total: int) -> None:
        self._metrics.count_lease(event, total - self._leases.get(event, 0))
        self._leases[event] = total
