"""`Metrics`: what an agent counts, as methods whose arguments are the only labels there can be.

Invariant: the number of time series is bounded. Labels are literals, statuses, or registries of the allow list
(anything else is counted under "other"); never a repository, digest, peer or client.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args

from prometheus_client import Counter, Gauge, Histogram

from agent.content.errors import ShoalError
from agent.telemetry.page import MetricsPage

Source = Literal["registry", "peer"]
Receiver = Literal["client", "peer"]
RegistryOutcome = Literal["ok", "not_found", "unauthorized", "throttled", "error"]
PullOutcome = Literal["ok", "error", "cancelled"]
BlobOutcome = Literal["hit", "join", "miss"]
RequestKind = Literal[
    "ping",
    "manifest",
    "blob",
    "tags",
    "referrers",
    "catalog",
    "upload",
    "push",
    "delete",
    "admin",
    "metrics",
    "other",
]
ChunkFailure = Literal["digest", "timeout", "disconnected", "rejected", "protocol", "disk", "other"]
TagOutcome = Literal["fresh", "revalidated", "stale", "error"]
PushThroughOutcome = Literal["done", "outdone", "failed"]
PushThroughState = Literal["waiting", "pushing", "failed"]
StoreKind = Literal["blobs", "partials"]

OTHER = "other"
# A hit takes a millisecond, a cold blob over a bad uplink minutes.
REQUEST_BUCKETS_SECONDS = (0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Metrics:
    """`registries` is the allow list. Gauges hold what was set last; `page.refresh_with` keeps them current."""

    def __init__(self, registries: Iterable[str] = (), page: MetricsPage | None = None) -> None:
        self.page = page if page is not None else MetricsPage()
        self._registries = frozenset(registries)
        counter, gauge = self._counter, self._gauge
        self._received = counter("bytes_received", "Bytes of content received.", "source")
        self._sent = counter("bytes_sent", "Bytes of content sent.", "to")
        self._registry_requests = counter(
            "registry_requests", "Requests to upstream registries.", "registry", "outcome"
        )
        self._pulls = counter("pulls", "Shared downloads that ended.", "outcome")
        self._blob_requests = counter(
            "blob_requests", "Blobs asked for: in the store, joining a download, starting one.", "outcome"
        )
        self._http_requests = counter("http_requests", "Requests answered.", "kind", "status")
        self._http_seconds = self.page.add(
            Histogram(
                "shoal_http_request_seconds",
                "From a request's head to the end of its answer.",
                ["kind"],
                registry=None,
                buckets=REQUEST_BUCKETS_SECONDS,
            )
        )
        self._chunk_failures = counter("chunk_failures", "Chunks that had to be fetched again.", "reason")
        self._peer_bans = counter("peer_bans", "Peers banned by this node.")
        self._errors = counter("errors", "Failures by kind.", "kind")
        self._tag_answers = counter("tag_answers", "How tags were answered.", "outcome")
        self._push_through = counter(
            "push_through", "Pushes that go on to a registry: attempts that ended.", "outcome"
        )
        self._pushed_through = counter("push_through_bytes", "Bytes sent to registries for such pushes.")
        self._push_queue = gauge("push_through_queue", "Pushes that are to go on to a registry.", "state")
        self._peers = gauge("peers", "Peers connected.")
        self._swarms = gauge("swarms", "Swarms this node takes part in.")
        self._store = gauge("store_bytes", "Bytes in the store.", "kind")
        self._store_free = gauge("store_free_bytes", "Bytes free on the store's disk.")
        self._store_quota = gauge("store_quota_bytes", "The store's quota; 0 without one.")
        self._tracker_up = gauge("tracker_up", "Whether the last call to the tracker was answered.")
        self._start_at_zero()

    def _start_at_zero(self) -> None:
        """What is there from the start has a rate from its first event on."""
        for counter, labels in (
            (self._received, Source),
            (self._sent, Receiver),
            (self._pulls, PullOutcome),
            (self._blob_requests, BlobOutcome),
            (self._chunk_failures, ChunkFailure),
            (self._tag_answers, TagOutcome),
            (self._push_through, PushThroughOutcome),
        ):
            for label in _values_of(labels):
                counter.labels(label)

    def count_received(self, source: Source, byte_count: int) -> None:
        self._received.labels(source).inc(byte_count)

    def count_sent(self, to: Receiver, byte_count: int) -> None:
        self._sent.labels(to).inc(byte_count)

    def count_registry_request(self, registry: str, outcome: RegistryOutcome) -> None:
        self._registry_requests.labels(registry if registry in self._registries else OTHER, outcome).inc()

    def count_pull(self, outcome: PullOutcome) -> None:
        self._pulls.labels(outcome).inc()

    def count_blob_request(self, outcome: BlobOutcome) -> None:
        self._blob_requests.labels(outcome).inc()

    def count_http_request(self, kind: RequestKind, status: int, seconds: float) -> None:
        self._http_requests.labels(kind, str(status) if 100 <= status <= 599 else OTHER).inc()
        self._http_seconds.labels(kind).observe(seconds)

    def count_chunk_failure(self, reason: ChunkFailure) -> None:
        self._chunk_failures.labels(reason).inc()

    def count_peer_ban(self) -> None:
        self._peer_bans.inc()

    def count_error(self, error: BaseException) -> None:
        """Under its class in the error tree; what is not of it is a bug of ours."""
        self._errors.labels(type(error).__name__ if isinstance(error, ShoalError) else "unexpected").inc()

    def count_tag_answer(self, outcome: TagOutcome) -> None:
        self._tag_answers.labels(outcome).inc()

    def count_push_through(self, outcome: PushThroughOutcome) -> None:
        self._push_through.labels(outcome).inc()

    def count_pushed_through(self, byte_count: int) -> None:
        self._pushed_through.inc(byte_count)

    def set_push_through(self, counts: Mapping[PushThroughState, int]) -> None:
        for state, count in counts.items():
            self._push_queue.labels(state).set(count)

    def set_swarms(self, peers: int, swarms: int) -> None:
        self._peers.set(peers)
        self._swarms.set(swarms)

    def set_store(
        self, blob_bytes: int, partial_bytes: int, free_bytes: int, quota_bytes: int | None
    ) -> None:
        self._store.labels("blobs").set(blob_bytes)
        self._store.labels("partials").set(partial_bytes)
        self._store_free.set(free_bytes)
        self._store_quota.set(quota_bytes or 0)

    def set_tracker_up(self, is_up: bool) -> None:
        self._tracker_up.set(int(is_up))

    def render(self) -> tuple[str, bytes]:
        """Content type and body, in Prometheus' text form."""
        return self.page.render()

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return self.page.add(Counter(f"shoal_{name}_total", text, labels, registry=None))

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return self.page.add(Gauge(f"shoal_{name}", text, labels, registry=None))


def _values_of(literal: Any) -> tuple[str, ...]:
    return get_args(literal)
