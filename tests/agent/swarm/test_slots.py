"""How many transfers a node has at a time."""

from agent.content.chunk_map import ChunkMap
from agent.swarm.policy import SwarmPolicy
from agent.swarm.slots import slots

MIB = 1024 * 1024


def test_a_blob_of_few_large_chunks_goes_one_chunk_after_the_other() -> None:
    assert slots(SwarmPolicy(uploads=2, downloads=2, ahead=0), ChunkMap(25 * MIB, MIB)) == (1, 1)


def test_small_chunks_fill_each_others_gaps() -> None:
    assert slots(SwarmPolicy(uploads=2, downloads=2, ahead=0), ChunkMap(25 * 65536, 65536)) == (2, 2)


def test_many_chunks_go_two_at_a_time_and_what_is_ahead() -> None:
    assert slots(SwarmPolicy(uploads=2, downloads=2, ahead=1), ChunkMap(256 * MIB, MIB)) == (3, 3)
