"""`shoal simulate`, as it is typed."""

import json

import pytest
from click.testing import CliRunner

from agent.content.chunk_map import ChunkMap
from tracker.simulate import simulate


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
        (("--nodes", "2", "--pictures", "/dev/null/x"), "cannot make it: Not a directory"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_simulated(flags: tuple[str, ...], words: str) -> None:
    result = CliRunner().invoke(simulate, flags)
    assert result.exit_code == 2
    assert words in result.output


def test_a_few_nodes_have_a_99th_percentile_too() -> None:
    told = fields("--nodes", "2", "--size", "10MB")
    assert told["p50_over_bound"] <= told["p99_over_bound"] == told["max_over_bound"]
