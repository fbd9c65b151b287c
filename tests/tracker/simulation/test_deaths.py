"""Who is killed in a rollout, when, and when each is back."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.simulation.cluster import Cluster
from tracker.simulation.deaths import random_deaths
from tracker.simulation.report import report_of
from tracker.simulation.scenarios import scaled


@given(nodes=st.integers(1, 500), seed=st.integers(0, 1000))
def test_a_fifth_is_killed_each_once_within_the_rollout_and_is_back_after_its_time(
    nodes: int, seed: int
) -> None:
    deaths = random_deaths(nodes, 0.2, 100.0, 3.0, random.Random(seed))
    assert len(deaths) == max(round(nodes / 5), 1)
    assert len({death.node for death in deaths}) == len(deaths)
    assert all(0 <= death.node < nodes and 10 <= death.at_seconds <= 90 for death in deaths)
    assert [death.at_seconds for death in deaths] == sorted(death.at_seconds for death in deaths)
    assert all(death.back_seconds == death.at_seconds + 3.0 for death in deaths)


def test_the_same_seed_kills_the_same_nodes_at_the_same_moments() -> None:
    def deaths(seed: int) -> object:
        return random_deaths(40, 0.2, 10.0, 3.0, random.Random(seed))

    assert deaths(1) == deaths(1) != deaths(2)


def test_moments_are_spread_over_the_whole_rollout_and_some_are_away_together() -> None:
    deaths = random_deaths(100, 0.2, 100.0, 10.0, random.Random(1))
    moments = [death.at_seconds for death in deaths]
    assert min(moments) < 25
    assert max(moments) > 75
    assert any(two - one < 10 for one, two in pairwise(moments))


def test_whoever_is_killed_for_good_is_never_back() -> None:
    assert all(death.back_seconds is None for death in random_deaths(10, 0.2, 10.0, 0.0, random.Random(1)))
    assert random_deaths(10, 0.0, 10.0, 0.0, random.Random(1)) == []


@pytest.mark.parametrize(("nodes", "killed"), [(2, 1), (8, 2), (12, 2)])
def test_simulated_nodes_are_killed_in_the_same_number(nodes: int, killed: int) -> None:
    cluster = Cluster(scaled("churn", nodes=nodes, chunks=16))
    cluster.run()
    assert sum(node.life - 1 for node in cluster.nodes.values()) == killed
    assert report_of(cluster).stuck_nodes == 0
