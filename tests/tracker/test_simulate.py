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
