"""`MetricsPage`: one process' metrics and their text in Prometheus' form.

An agent and a tracker in one process share a page. No globals: every page has a registry of its own, so tests and
simulations may have many. Importing this loads prometheus_client (about 1 MiB); commands that serve no metrics do not.
"""

import platform
from collections.abc import Callable, Iterable
from typing import TypeVar

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import Metric

MetricT = TypeVar("MetricT", bound=MetricWrapperBase)


class MetricsPage:
    def __init__(self, version: str = "unknown") -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self._refreshers: list[Callable[[], None]] = []
        ProcessCollector(registry=self.registry)
        info = Gauge("shoal_build_info", "What runs here; always 1.", ["version", "python"], registry=None)
        info.labels(version, platform.python_version()).set(1)
        self.add(info)

    def add(self, metric: MetricT) -> MetricT:
        self.registry.register(_WithoutCreated(metric))
        return metric

    def refresh_with(self, refresher: Callable[[], None]) -> None:
        """`refresher` sets gauges to what holds now; it is called before every rendering, and must be cheap."""
        self._refreshers.append(refresher)

    def render(self) -> tuple[str, bytes]:
        """Content type and body."""
        for refresher in self._refreshers:
            refresher()
        return CONTENT_TYPE_PLAIN_0_0_4, generate_latest(self.registry)


class _WithoutCreated:
    """A metric without its `_created` samples, which this text form would make metrics of their own.

    prometheus_client can leave them out too, but only for the whole process.
    """

    def __init__(self, metric: MetricWrapperBase) -> None:
        self._metric = metric

    def collect(self) -> Iterable[Metric]:
        for family in self._metric.collect():
            family.samples = [sample for sample in family.samples if not sample.name.endswith("_created")]
            yield family
