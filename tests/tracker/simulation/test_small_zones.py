"""Zones of one node, as edge sites are, and others that are too small for a gateway beside the importer."""

import pytest

from tests.tracker.simulation.test_rollouts import simulate
from tracker.simulation.report import Report
from tracker.simulation.scenario import Hardship, Scenario, ZoneScenario

_IMAGE_BYTES = 128_000_000


def rollout(nodes: int, zones: int, *, first_share: float = 0.0, chunks: int = 64) -> Report:
    """2 ms between zones, so that what lines bring counts, and not what latency costs."""
    return simulate(
        Scenario(
            nodes=nodes,
            layers=(_IMAGE_BYTES,),
            chunks=chunks,
            zones=ZoneScenario(zones=zones, first_share=first_share, latency_seconds=0.002),
        )
    )


@pytest.mark.parametrize(
    ("nodes", "zones", "most_over_bound"),
    [(2, 2, 1.2), (3, 3, 1.3), (5, 5, 1.4), (10, 10, 1.6), (20, 19, 1.8), (30, 29, 1.8), (10, 50, 1.6)],
)
def test_zones_of_one_node_read_the_registry_once(nodes: int, zones: int, most_over_bound: float) -> None:
    report = rollout(nodes, zones)
    assert report.stuck_nodes == 0
    assert len(report.finish_times) == nodes
    assert report.registry_copies <= 1.05
    assert report.cross_zone_ratio <= 1.05
    assert report.max_over_bound <= most_over_bound


@pytest.mark.parametrize("alone_in", ["first", "second"])
def test_a_zone_of_one_beside_a_larger_one(alone_in: str) -> None:
    """The only node of its zone gives what it reads, and does not give back what came from there."""
    report = rollout(5, 2, first_share=0.2 if alone_in == "first" else 0.8)
    assert report.stuck_nodes == 0
    assert report.registry_copies <= 1.05
    assert report.cross_zone_ratio <= 1.02
    assert report.max_over_bound <= 1.6


def test_only_nodes_that_are_killed_and_come_back_are_fed_by_the_others() -> None:
    report = simulate(
        Scenario(
            nodes=10,
            layers=(_IMAGE_BYTES,),
            chunks=64,
            zones=ZoneScenario(zones=10, latency_seconds=0.002),
            hardship=Hardship(dying=0.2, away_seconds=2.0),
        )
    )
    assert report.stuck_nodes == 0
    assert report.registry_copies <= 1.1
