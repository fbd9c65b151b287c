"""Whole clusters of real `Swarm` machines in memory: everybody ends with the right bytes, whatever some of them do."""

from itertools import pairwise

import pytest

from agent.content.chunk_map import ChunkMap
from agent.content.chunk_set import ChunkSet
from agent.swarm.policy import SwarmPolicy
from tests.agent.swarm.network import SILENCE_SECONDS, Network, Node, Registry, Temper, fluid_bound, truth

_MIB = 1 << 20
_QUARTER = _MIB // 4
_RATE = 10e6
SEEDS = (1, 2)


def cluster(
    nodes: int, chunks: int, seed: int, latency: float = 0.001, chunk_bytes: int = _MIB
) -> tuple[Network, list[Node]]:
    """A source of everything (first) and `nodes` that have nothing; link them with `mesh`."""
    network = Network(ChunkMap(chunks * chunk_bytes, chunk_bytes), seed=seed, latency=latency)
    source = network.add(have=ChunkSet.full(chunks))
    return network, [source, *(network.add() for _ in range(nodes))]


def assert_whole(network: Network) -> None:
    assert network.unfinished == []
    for node in [node for node in network.present if not node.lies]:
        count = network.chunks.count
        assert [node.content[index] for index in range(count)] == [truth(index) for index in range(count)]


def repeats(network: Network) -> int:
    """Requests for a chunk that the same node had asked for before."""
    return sum(times - 1 for node in network.nodes.values() for times in node.requests.values())


@pytest.fixture(params=SEEDS)
def seed(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.mark.slow
def test_a_single_source_feeds_thirty_nodes_near_the_fluid_bound() -> None:
    network, _ = cluster(30, 64, seed=1, chunk_bytes=_QUARTER)
    network.mesh(12)
    took = network.run()
    assert_whole(network)
    assert took <= 1.6 * fluid_bound(30, 64 * _QUARTER, _RATE, _RATE, _RATE)  # 1.25 as a rule
    assert repeats(network) == 0


@pytest.mark.slow
def test_leases_in_turn_feed_thirty_nodes_near_the_fluid_bound_and_the_registry_is_read_once() -> None:
    network = Network(ChunkMap(64 * _QUARTER, _QUARTER), seed=1)
    nodes = [network.add() for _ in range(30)]
    network.mesh(12)
    registry = Registry(network, nodes, _RATE)
    registry.start()
    took = network.run()
    assert_whole(network)
    assert took <= 1.6 * fluid_bound(30, 64 * _QUARTER, _RATE, _RATE, _RATE)  # 1.25 as a rule
    assert set(registry.reads.values()) == {1}
    assert repeats(network) == 0


def test_everyone_completes_whatever_the_latency_and_the_seed(seed: int) -> None:
    for latency in (0.0, 0.02, 0.3):
        network, _ = cluster(10, 24, seed, latency)
        network.mesh(5)
        network.run()
        assert_whole(network)
        assert repeats(network) == 0


def test_a_chain_of_nodes_passes_everything_on(seed: int) -> None:
    network, nodes = cluster(6, 16, seed)
    for one, other in pairwise(nodes):
        network.link(one, other)
    network.run()
    assert_whole(network)
    assert repeats(network) == 0


def test_nobody_uploads_more_than_its_slots() -> None:
    network, nodes = cluster(12, 24, seed=1)
    network.mesh(8)
    network.run()
    policy = SwarmPolicy()
    assert max(node.most_uploads for node in nodes) <= policy.uploads + policy.ahead


def test_nodes_that_die_in_the_middle_leave_nobody_stuck(seed: int) -> None:
    network, nodes = cluster(12, 32, seed)
    network.mesh(6)
    for number, node in enumerate(nodes[3:8]):
        network.at(0.7 + 0.31 * number, lambda node=node: network.leave(node))  # type: ignore[misc]
    network.run()
    assert len(network.present) == 8
    assert_whole(network)


def test_a_lease_holder_that_dies_is_followed_by_another(seed: int) -> None:
    network = Network(ChunkMap(24 * _MIB, _MIB), seed=seed)
    nodes = [network.add() for _ in range(8)]
    network.mesh(4)
    Registry(network, nodes, _RATE, run=4).start()
    network.at(0.3, lambda: network.leave(nodes[0]))
    network.at(0.9, lambda: network.leave(nodes[2]))
    network.run()
    assert_whole(network)


def test_late_comers_are_served_by_whoever_is_there(seed: int) -> None:
    network, nodes = cluster(6, 24, seed)
    network.mesh(4)

    def join() -> None:
        late = network.add()
        for other in nodes[2:6]:
            network.link(late, other)

    network.at(0.5, join)
    network.at(1.5, join)
    network.run()
    assert len(network.nodes) == 9
    assert_whole(network)


def test_links_that_flap_all_the_time_leave_nobody_stuck(seed: int) -> None:
    network, nodes = cluster(8, 24, seed, latency=0.01)
    network.mesh(4)

    def flap(number: int) -> None:
        one, other = network.rng.sample(nodes, 2)
        if other.id in one.links:
            network.cut(one, other.id)
        else:
            network.link(one, other)
        if number:
            network.at(network.now + 0.013, lambda: flap(number - 1))

    network.at(0.1, lambda: flap(200))
    network.at(4.0, lambda: network.mesh(4))
    network.run()
    assert_whole(network)


def test_a_node_that_sends_wrong_bytes_is_banned_and_its_bytes_go_nowhere(seed: int) -> None:
    network, nodes = cluster(10, 24, seed)
    corrupt = network.add(Temper(corrupts=True), have=ChunkSet.full(24))
    network.mesh(6)
    neighbours = [node for node in nodes[1:] if corrupt.id in node.links]
    network.run()
    assert_whole(network)
    assert set(network.bans) == {corrupt.id}
    assert neighbours
    assert not corrupt.links or network.bans[corrupt.id] >= 1


def test_a_node_that_accepts_and_never_sends_is_dropped_and_its_chunks_come_from_others(seed: int) -> None:
    network, nodes = cluster(8, 24, seed)
    mute = network.add(Temper(mute=True), have=ChunkSet.full(24))
    network.mesh(9)
    took = network.run()
    assert_whole(network)
    assert len(mute.links) < len(nodes)
    assert took < SILENCE_SECONDS + 2 * fluid_bound(8, 24 * _MIB, _RATE, _RATE, _RATE)


def test_a_liar_among_honest_nodes_is_found_out_by_the_map_before_the_end(seed: int) -> None:
    network, nodes = cluster(10, 24, seed)
    liar = network.add_liar(wrong=[3, 7])
    network.mesh(6)

    def settle() -> None:
        for node in nodes[1:]:
            if not node.gone and node.whole_at is None:
                claims = [(index, truth(index)) for index in range(24)]
                node.perform(node.swarm.on_claims(claims, node.content.get, network.now))

    for tick in range(1, 9):
        network.at(0.4 * tick, settle)
    network.run()
    assert_whole(network)
    assert set(network.bans) <= {liar.id}


def test_a_liar_is_found_out_by_the_whole_digest_where_nobody_settles_its_claims(seed: int) -> None:
    """Whoever took part is suspect then; each node ends with right bytes as long as it meets an honest source."""
    network = Network(ChunkMap(12 * _MIB, _MIB), seed=seed)
    liar = network.add_liar(wrong=[5])
    victim = network.add()
    network.link(liar, victim)
    network.run(until=60.0)
    assert victim.mismatches == 1
    assert network.bans[liar.id] == 1
    assert network.unfinished == [victim]
    network.link(network.add(have=ChunkSet.full(12)), victim)
    network.run(until=120.0)
    assert_whole(network)


def test_slow_nodes_hold_nobody_up(seed: int) -> None:
    network = Network(ChunkMap(24 * _MIB, _MIB), seed=seed)
    source = network.add(have=ChunkSet.full(24))
    quick = [network.add() for _ in range(8)]
    slow = [network.add(Temper(up=_RATE / 10, down=_RATE / 10)) for _ in range(3)]
    network.mesh(6)
    network.run()
    assert_whole(network)
    bound = fluid_bound(8, 24 * _MIB, _RATE, _RATE, _RATE)
    assert source.whole_at == 0.0
    assert max(node.whole_at or 0.0 for node in quick) < 5 * bound
    assert max(node.whole_at or 0.0 for node in slow) < 3 * 24 * _MIB / (_RATE / 10)


def test_offers_that_get_lost_are_made_again(seed: int) -> None:
    """The only holder hears nothing of its first offers; its neighbour tells no news, since there is none."""
    network = Network(ChunkMap(6 * _MIB, _MIB), seed=seed)
    source = network.add(have=ChunkSet.full(6))
    network.link(source, network.add(Temper(loses_offers=5)))
    network.run(until=60.0)
    assert_whole(network)


def test_the_same_seed_gives_the_same_run() -> None:
    times = []
    for _ in range(2):
        network, _nodes = cluster(10, 16, seed=7)
        network.mesh(5)
        times.append((network.run(), [node.whole_at for node in network.nodes.values()]))
    assert times[0] == times[1]
