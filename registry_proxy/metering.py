"""`RequestMeter`: the endpoint's requests, as the node's metrics and traffic count them."""

from typing import get_args

from agent.node.traffic import Traffic
from agent.telemetry.metrics import Metrics, RequestKind

_KINDS: dict[str, RequestKind] = {kind: kind for kind in get_args(RequestKind)}


class RequestMeter:
    """Implements app.ProxyMetrics."""

    def __init__(self, metrics: Metrics, traffic: Traffic) -> None:
        self._metrics = metrics
        self._traffic = traffic

    def on_request(self, kind: str, status: int, seconds: float, bytes_sent: int) -> None:
        self._metrics.count_http_request(_KINDS.get(kind, "other"), status, seconds)
        self._traffic.count_sent("client", bytes_sent)
