"""`RolloutProgress`: how far a simulation is and how much longer it will take, told as it runs."""

from collections.abc import Callable

from agent.commands.quantities import counted, percent_text, seconds_text
from tracker.simulation.cluster import Cluster

_EVERY_SECONDS = 0.5
_LOOKS = 200  # at the real clock, in the simulated time of the bound
_LEAST_SHARE = 0.02  # of the chunks; the start says little about the rest


class RolloutProgress:
    """An event among the simulation's others. show: takes a line. real_now: seconds that really go by."""

    def __init__(self, cluster: Cluster, show: Callable[[str], None], real_now: Callable[[], float]) -> None:
        self._cluster = cluster
        self._show = show
        self._real_now = real_now
        self._began = self._shown_at = real_now()
        self._chunks = cluster.scenario.nodes * sum(blob.chunks.count for blob in cluster.blobs)

    def look(self) -> None:
        now, nodes = self._real_now(), self._cluster.nodes.values()
        if now >= self._shown_at + _EVERY_SECONDS:
            self._shown_at = now
            come = sum(node.chunks_held for node in nodes) / self._chunks
            done = sum(node.whole_at is not None for node in nodes)
            self._show(progress_text(come, done, now - self._began))
        self._cluster.clock.after(self._cluster.bound_seconds / _LOOKS, self.look)


def progress_text(come: float, done: int, spent_seconds: float) -> str:
    """come: the share of all chunks that have come; each costs about the same."""
    text = f"{percent_text(come)} of all chunks have come, {counted(done, 'node')} done"
    if come < _LEAST_SHARE:
        return text
    return f"{text}, about {seconds_text(spent_seconds * (1 - min(come, 1.0)) / come)} left"
