"""How many neighbours a node seeks."""

import pytest

from agent.content.chunk_map import ChunkMap
from agent.swarm.neighbours import neighbours_sought
from agent.wire.tracker_calls import SwarmAnswer
from tracker.simulation.cluster import Cluster
from tracker.simulation.download import Download
from tracker.simulation.scenario import Scenario

_FINE = ChunkMap.of(3_000_000_000)


@pytest.mark.parametrize(
    ("participants", "sought"), [(1, 8), (32, 8), (1000, 8), (1001, 12), (3000, 12), (3001, 16), (10_000, 16)]
)
def test_up_to_twice_as_many_are_sought_in_a_swarm_of_thousands(participants: int, sought: int) -> None:
    assert neighbours_sought(8, participants, _FINE) == sought
    assert neighbours_sought(8, participants, None) == sought


def test_whoever_sets_another_number_keeps_the_proportion() -> None:
    assert [neighbours_sought(20, participants, _FINE) for participants in (100, 2000, 5000)] == [20, 30, 40]
    assert neighbours_sought(1, 2000, _FINE) == 1


@pytest.mark.parametrize("participants", [32, 5000])
def test_three_times_as_many_are_sought_for_a_few_large_chunks(participants: int) -> None:
    assert neighbours_sought(8, participants, ChunkMap(3_000_000_000, 120_000_000)) == 24
    assert neighbours_sought(8, 32, ChunkMap(3_000_000, 120_000)) == 8


def test_more_are_asked_for_from_the_answer_on_that_tells_of_so_many() -> None:
    download = _download()
    assert download.report(full=False).peers_wanted == 8
    for participants, wanted in ((1000, 8), (2000, 12), (4000, 16), (1000, 8)):
        download.on_answer(SwarmAnswer(download.blob.digest, None, participants))
        assert download.report(full=False).peers_wanted == wanted


def _download() -> Download:
    cluster = Cluster(Scenario(nodes=1, chunks=256))
    node = next(iter(cluster.nodes.values()))
    node.start(cluster.blobs)
    return next(iter(node.downloads.values()))
