"""Which part of a blob a node reads from the registry without a lease."""

import random
from collections.abc import Iterable

from agent.content.chunk_map import ChunkMap
from agent.content.chunk_set import ChunkSet
from agent.swarm.part_to_read import part_alone, part_beside_others
from agent.swarm.peer_record import PeerRecord
from agent.wire.node_id import NodeId

MIB = 1024 * 1024
CHUNKS = ChunkMap(64 * 4 * MIB, 4 * MIB)
ALL = ChunkSet.full(CHUNKS.count)


def peer(number: int, have: Iterable[int], want: Iterable[int]) -> PeerRecord:
    return PeerRecord(NodeId(bytes([number]) * 32), ChunkSet.of(have).bits, ChunkSet.of(want).bits, 0)


def parts(missing: ChunkSet, *peers: PeerRecord) -> set[range]:
    return {range(*part_beside_others(missing, peers, CHUNKS, random.Random(seed))) for seed in range(50)}


def test_a_part_is_no_longer_than_16_mib_and_within_what_is_missing() -> None:
    missing = ALL - ChunkSet.of([0, 9, 10])
    for part in parts(missing):
        assert 1 <= len(part) <= 4
        assert all(index in missing for index in part)


def test_nodes_that_read_at_once_begin_at_different_places() -> None:
    assert len(parts(ALL)) > 20


def test_what_a_neighbour_has_or_gets_or_reads_is_left_to_it() -> None:
    has_the_first_half = peer(1, range(32), range(32, 64))
    reads_the_third_quarter = peer(2, [], [*range(32), *range(48, 64)])
    for part in parts(ALL, has_the_first_half, reads_the_third_quarter):
        assert part.start >= 48


def test_what_no_neighbour_has_comes_before_what_one_keeps_to_itself() -> None:
    for part in parts(ALL, peer(1, range(60), [])):
        assert part.start >= 60


def test_where_neighbours_have_it_all_and_bring_nothing_it_is_read_all_the_same() -> None:
    assert len(parts(ALL, peer(1, range(64), []))) > 20


def test_a_node_by_itself_reads_from_the_beginning() -> None:
    missing = ALL - ChunkSet.of([0, 1, 50])
    assert part_alone(missing, CHUNKS, has_tracker=True) == (2, 6)
    assert part_alone(missing, CHUNKS, has_tracker=False) == (2, 50)
