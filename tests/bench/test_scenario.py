"""The fluid bound at measured rates, and who starts when."""

import pytest

from tests.bench.link_rates import LinkRates
from tests.bench.scenario import DEFAULT, MB, Scenario, whole_matrix

RATES = LinkRates(registry=100.0, up=50.0, down=50.0)


def test_the_bound_is_the_largest_of_source_line_and_all_uplinks_together() -> None:
    assert RATES.bound_seconds(1000, nodes=1) == 20
    assert LinkRates(10.0, 50.0, 50.0).bound_seconds(1000, nodes=2) == 100
    assert LinkRates(50.0, 10.0, 50.0).bound_seconds(1000, nodes=5) == 50


def test_later_waves_are_fed_by_the_earlier_ones_too() -> None:
    slow = LinkRates(registry=10.0, up=10.0, down=1000.0)
    assert slow.waves_bound_seconds(100, [1]) == 10
    assert slow.waves_bound_seconds(100, [1, 1]) == pytest.approx(10 + 100 / 20)


def test_rolling_takes_a_fifth_at_a_time_and_everyone_once() -> None:
    waves = Scenario(32, MB, 1, "rolling").waves()
    assert [len(wave) for wave in waves] == [6, 6, 6, 6, 6, 2]
    assert [number for wave in waves for number in wave] == list(range(32))


def test_an_update_moves_the_last_layer_alone() -> None:
    assert Scenario(2, 100, 4, "update").moved_bytes == 25


def test_scenarios_have_names_of_their_own() -> None:
    assert len({one.name for one in DEFAULT}) == len(DEFAULT)
    assert len({one.name for one in whole_matrix()}) == len(whole_matrix())
