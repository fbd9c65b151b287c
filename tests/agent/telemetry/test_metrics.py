"""/metrics: names, bounds, and no globals."""

import re
from collections.abc import Iterator

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from agent.content.errors import PeerError, Throttled
from agent.telemetry.metrics import Metrics
from agent.telemetry.page import MetricsPage
from agent.telemetry.tracker_metrics import TrackerMetrics


def samples(metrics: Metrics | TrackerMetrics) -> dict[str, float]:
    """`name{label="value"}` -> value."""
    content_type, body = metrics.render()
    assert content_type.startswith("text/plain")
    found = {}
    for family in families(body):
        for sample in family.samples:
            labels = ",".join(f'{k}="{v}"' for k, v in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def families(body: bytes) -> Iterator[Metric]:
    yield from text_string_to_metric_families(body.decode())


def test_what_is_counted_stands_on_the_page() -> None:
    metrics = Metrics(["docker.io"])
    metrics.count_received("registry", 100)
    metrics.count_received("peer", 50)
    metrics.count_received("peer", 25)
    metrics.count_sent("client", 7)
    metrics.count_registry_request("docker.io", "throttled")
    metrics.count_pull("ok")
    metrics.count_blob_request("join")
    metrics.count_http_request("blob", 206, 0.03)
    metrics.count_chunk_failure("digest")
    metrics.count_peer_ban()
    metrics.count_error(Throttled("later"))
    metrics.count_error(PeerError("dead"))
    metrics.count_error(KeyError("bug"))
    metrics.count_tag_answer("stale")
    metrics.set_swarms(peers=4, swarms=2)
    metrics.set_store(blob_bytes=10, partial_bytes=5, free_bytes=99, quota_bytes=None)
    metrics.set_tracker_up(True)
    assert (
        samples(metrics).items()
        >= {
            'shoal_bytes_received_total{source="registry"}': 100,
            'shoal_bytes_received_total{source="peer"}': 75,
            'shoal_bytes_sent_total{to="client"}': 7,
            'shoal_registry_requests_total{outcome="throttled",registry="docker.io"}': 1,
            'shoal_pulls_total{outcome="ok"}': 1,
            'shoal_blob_requests_total{outcome="join"}': 1,
            'shoal_http_requests_total{kind="blob",status="206"}': 1,
            'shoal_http_request_seconds_bucket{kind="blob",le="0.02"}': 0,
            'shoal_http_request_seconds_bucket{kind="blob",le="0.05"}': 1,
            'shoal_http_request_seconds_count{kind="blob"}': 1,
            'shoal_chunk_failures_total{reason="digest"}': 1,
            "shoal_peer_bans_total": 1,
            'shoal_errors_total{kind="Throttled"}': 1,
            'shoal_errors_total{kind="PeerError"}': 1,
            'shoal_errors_total{kind="unexpected"}': 1,
            'shoal_tag_answers_total{outcome="stale"}': 1,
            "shoal_peers": 4,
            "shoal_swarms": 2,
            'shoal_store_bytes{kind="blobs"}': 10,
            'shoal_store_bytes{kind="partials"}': 5,
            "shoal_store_free_bytes": 99,
            "shoal_store_quota_bytes": 0,
            "shoal_tracker_up": 1,
        }.items()
    )


def test_counters_of_known_labels_start_at_zero() -> None:
    found = samples(Metrics())
    assert found['shoal_bytes_received_total{source="registry"}'] == 0
    assert found['shoal_blob_requests_total{outcome="hit"}'] == 0


def test_the_tracker_counts_on_a_page_of_its_own_or_on_the_agents() -> None:
    alone = TrackerMetrics()
    alone.count_announce()
    alone.count_resolve("known")
    alone.count_lease("granted", 3)
    alone.count_lease("expired")
    alone.count_ban()
    alone.count_rejected_call()
    alone.set_directory(nodes=5, swarms=2, leases=1)
    assert (
        samples(alone).items()
        >= {
            "shoal_tracker_announces_total": 1,
            'shoal_tracker_resolves_total{outcome="known"}': 1,
            'shoal_tracker_leases_total{event="granted"}': 3,
            'shoal_tracker_leases_total{event="expired"}': 1,
            "shoal_tracker_bans_total": 1,
            "shoal_tracker_rejected_calls_total": 1,
            "shoal_tracker_nodes": 5,
            "shoal_tracker_swarms": 2,
            "shoal_tracker_running_leases": 1,
        }.items()
    )
    agent = Metrics()
    TrackerMetrics(agent.page).count_ban()
    assert samples(agent)["shoal_tracker_bans_total"] == 1


def test_a_registry_outside_the_allow_list_makes_no_series_of_its_own() -> None:
    metrics = Metrics(["docker.io"])
    for number in range(100):
        metrics.count_registry_request(f"registry-{number}.example", "error")
    found = {name: value for name, value in samples(metrics).items() if name.startswith("shoal_registry")}
    assert found == {'shoal_registry_requests_total{outcome="error",registry="other"}': 100}


@pytest.mark.parametrize("status", [0, 99, 600, 10**9])
def test_a_status_that_is_none_makes_no_series_of_its_own(status: int) -> None:
    metrics = Metrics()
    metrics.count_http_request("other", status, 0)
    assert samples(metrics)['shoal_http_requests_total{kind="other",status="other"}'] == 1


def test_gauges_are_refreshed_before_each_rendering() -> None:
    metrics = Metrics()
    counts = iter([1, 2])
    metrics.page.refresh_with(lambda: metrics.set_swarms(next(counts), 0))
    assert [samples(metrics)["shoal_peers"] for _ in range(2)] == [1, 2]


def test_two_agents_in_one_process_count_apart() -> None:
    one, other = Metrics(), Metrics()
    one.count_peer_ban()
    assert (samples(one)["shoal_peer_bans_total"], samples(other)["shoal_peer_bans_total"]) == (1, 0)


def test_the_page_tells_the_version_and_the_process() -> None:
    found = samples(Metrics(page=MetricsPage("1.2.3")))
    assert [
        v for name, v in found.items() if name.startswith("shoal_build_info") and 'version="1.2.3"' in name
    ] == [1]
    assert found["process_resident_memory_bytes"] > 0


def test_names_follow_the_rules_of_prometheus() -> None:
    metrics = Metrics(["docker.io"])
    TrackerMetrics(metrics.page)
    metrics.count_http_request("blob", 200, 0.1)
    for family in families(metrics.render()[1]):
        assert re.match(r"(shoal|process)_[a-z_]+$", family.name), family.name
        assert family.documentation
        for sample in family.samples:
            assert not sample.name.endswith("_created")
            assert family.type != "counter" or sample.name.endswith("_total")
