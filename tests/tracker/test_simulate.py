"""`shoal simulate`, as it is typed."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from agent.content.chunk_map import ChunkMap
from tracker.rollout_flags import parse_link_rate
from tracker.rollout_progress import RolloutProgress, progress_text
from tracker.simulate import simulate
from tracker.simulation.cluster import Cluster
from tracker.simulation.scenario import Scenario

HOPELESS = ("--nodes", "2", "--size", "10MB", "--connection", "1kbit")


def fields(*flags: str) -> dict[str, float]:
    result = CliRunner().invoke(simulate, [*flags, "--json"])
    assert result.exit_code == 0, result.output
    told: dict[str, float] = json.loads(result.output)
    return told


@pytest.mark.parametrize("size", [3_000_000, 40_000_000, 400_000_000])
def test_an_image_is_cut_as_nodes_cut_it(size: int) -> None:
    assert fields("--nodes", "2", "--size", f"{size}")["chunks"] == ChunkMap.of(size).count


def test_it_is_cut_as_one_says() -> None:
    assert fields("--nodes", "2", "--size", "3GB", "--chunks", "20")["chunks"] == 20


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--scenario", "14-layers", "--chunks", "3"), "as agents cut them"),
        (("--nodes", "2", "--pictures", "/dev/null/x"), "cannot write there: Not a directory"),
        (("--nodes", "2", "--pictures", "/proc"), "cannot write there: "),
        (("--nodes", "1e3"), "'1e3' is not a valid whole number"),
        (("--nodes", "0"), "0 is not in the range 1<=x<=100000"),
        (("--size", "NaN"), "not a size (such as 3GB or 300MiB)"),
        (("--size", "0"), "more than nothing (such as 3GB"),
        (("--uplink", "-1gbps"), "not a rate (such as 100mbit, 1gbps or 10MB/s)"),
        (("--uplink", "100"), "the unit is missing (such as 100mbit"),
        (("--latency", "5"), "the unit is missing (such as 0.5ms"),
        (
            ("--scenario", "chrun"),
            "there is no scenario 'chrun'; did you mean churn? `shoal simulate --list`",
        ),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_simulated(flags: tuple[str, ...], words: str) -> None:
    result = CliRunner().invoke(simulate, flags)
    assert result.exit_code == 2
    assert words in result.output


def test_a_picture_that_cannot_take_its_place_is_told_before_anything_is_simulated(tmp_path: Path) -> None:
    (tmp_path / "chunks.png").mkdir()
    result = CliRunner().invoke(simulate, ["--nodes", "2", "--pictures", str(tmp_path)])
    assert result.exit_code == 2
    assert "chunks.png is a directory there" in result.output


def test_pictures_are_all_that_is_left_in_their_directory(tmp_path: Path) -> None:
    flags = ["--nodes", "2", "--size", "10MB", "--pictures", str(tmp_path / "new")]
    assert CliRunner().invoke(simulate, flags).exit_code == 0
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"chunks.png", "completion.png"}


@pytest.mark.parametrize(
    ("text", "bytes_per_second"),
    [
        ("1gbps", 125_000_000),
        ("1Gbps", 125_000_000),
        ("100 mbps", 12_500_000),
        ("100MBps", 100_000_000),
        ("1MiBps", 1_048_576),
        ("8bps", 1),
        ("100Mbit/s", 12_500_000),
        ("10MB/s", 10_000_000),
    ],
)
def test_a_rate_may_be_written_as_people_write_it(text: str, bytes_per_second: int) -> None:
    assert parse_link_rate(text) == bytes_per_second


@pytest.mark.parametrize("text", ["1GBPS", "1Gb/s"])
def test_a_rate_that_may_be_bits_or_bytes_is_refused(text: str) -> None:
    result = CliRunner().invoke(simulate, ["--uplink", text])
    assert result.exit_code == 2
    assert "bits" in result.output


def test_the_name_of_a_scenario_may_be_in_capitals() -> None:
    assert fields("--nodes", "2", "--size", "10MB", "--scenario", "Plain")["stuck_nodes"] == 0


def test_a_few_nodes_have_a_99th_percentile_too() -> None:
    told = fields("--nodes", "2", "--size", "10MB")
    assert told["p50_over_bound"] <= told["p99_over_bound"] == told["max_over_bound"]


def test_where_no_node_is_ever_done_no_time_is_told_at_which_it_was() -> None:
    result = CliRunner().invoke(simulate, HOPELESS)
    assert result.exit_code == 1
    assert "No node is ever done" in result.output
    assert "2 nodes never done: with " in result.output
    assert "done after" not in result.output
    assert "times the bound" not in result.output
    told = json.loads(CliRunner().invoke(simulate, [*HOPELESS, "--json"]).output)
    assert told["max_over_bound"] is None
    assert told["stuck_nodes"] == 2


def test_nodes_that_are_killed_for_good_do_not_count_as_complete() -> None:
    result = CliRunner().invoke(simulate, ["--nodes", "5", "--size", "10MB", "--scenario", "deaths"])
    assert result.exit_code == 0
    assert "4 of 5 nodes complete" in result.output


def test_between_zones_goes_what_is_counted_and_no_image_for_a_zone_without_nodes() -> None:
    result = CliRunner().invoke(simulate, ["--nodes", "2", "--zones", "5", "--size", "10MB"])
    assert "Between zones go             10MB, 1.00 times the least" in result.output


def test_progress_says_how_much_longer_it_takes() -> None:
    assert progress_text(0.25, 0, 30.0) == "25% of all chunks have come, 0 nodes done, about 1 min 30 s left"
    assert progress_text(0.001, 0, 1.0) == "<1% of all chunks have come, 0 nodes done"


def test_progress_is_told_as_the_simulation_runs() -> None:
    cluster = Cluster(Scenario(nodes=3, chunks=20))
    ticks = iter(range(1_000_000))
    lines: list[str] = []
    RolloutProgress(cluster, lines.append, lambda: float(next(ticks))).look()
    cluster.run()
    assert len(lines) > 100
    assert lines[0].startswith("0% of all chunks")
    assert lines[-1].startswith(("98%", "99%"))
    assert "left" in lines[-1]
