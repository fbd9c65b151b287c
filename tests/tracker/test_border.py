"""How a blob crosses from zone to zone."""

from agent.wire.tracker_calls import PeerAddress
from tests.tracker.nodes import FakeNode
from tracker.directory.tracker import Tracker


def populate(tracker: Tracker, count: int, zones: int, now: float = 0.0) -> list[FakeNode]:
    nodes = [FakeNode(n, zone=f"zone-{n % zones}", peers_wanted=12) for n in range(count)]
    for node in nodes:
        node.call(tracker, now)
    return nodes


def imports(node: FakeNode) -> list[PeerAddress]:
    return [peer for peer in node.swarm.peers if peer.across]


def test_one_node_of_a_zone_takes_from_the_other_zones(tracker: Tracker) -> None:
    nodes = populate(tracker, 60, zones=3)
    for node in nodes:
        node.call(tracker, 1)
    importers = [node for node in nodes if imports(node)]
    assert [node.zone for node in importers] == ["zone-0", "zone-1", "zone-2"]
    zone_of = {node.node: node.zone for node in nodes}
    for importer in importers:
        assert importer.zone not in {zone_of[peer.node] for peer in imports(importer)}


def test_an_importer_is_told_of_a_gateway_once_though_it_wants_no_peers(tracker: Tracker) -> None:
    first = populate(tracker, 60, zones=3)[0]
    first.peers_wanted = 0
    first.call(tracker, 1)
    assert imports(first)
    first.call(tracker, 2)
    assert not imports(first)


def test_where_the_importer_leaves_another_one_takes_its_place(tracker: Tracker) -> None:
    nodes = populate(tracker, 60, zones=3)
    tracker.on_announce(nodes[0].announce(leaving=True), nodes[0].host, 1)
    for node in nodes[1:]:
        node.call(tracker, 2)
    assert sum(bool(imports(node)) for node in nodes[1:] if node.zone == "zone-0") == 1


def test_an_importer_that_starves_hands_over(tracker: Tracker) -> None:
    nodes = populate(tracker, 60, zones=3)
    nodes[0].starving = True
    for second in (1, 2, 4):
        nodes[0].call(tracker, second)
    zone = [node for node in nodes[1:] if node.zone == "zone-0"]
    for node in zone:
        node.call(tracker, 5)
    assert sum(bool(imports(node)) for node in zone) == 1


def test_only_gateways_and_who_starves_read_the_registry(tracker: Tracker) -> None:
    nodes = populate(tracker, 100, zones=2)
    for node in nodes:
        node.read_all()
    last = nodes[-1]
    last.call(tracker, 1)
    assert not last.leases
    last.starving = True
    last.call(tracker, 2)
    assert last.leases


def test_without_a_second_zone_there_is_no_border(tracker: Tracker) -> None:
    nodes = populate(tracker, 30, zones=1)
    for node in nodes:
        node.call(tracker, 1)
    assert not any(imports(node) for node in nodes)


def test_each_node_of_many_small_zones_takes_from_others_than_its_neighbour(tracker: Tracker) -> None:
    nodes = populate(tracker, 100, zones=100)
    told = {node.node: imports(node) for node in nodes}
    for node in nodes:
        node.call(tracker, 1)
        told[node.node] += imports(node)
    assert all(told.values())
    taken_from = {peer.node for peers in told.values() for peer in peers}
    assert len(taken_from) > 60


def test_the_only_nodes_of_two_zones_give_and_take(tracker: Tracker) -> None:
    one, two = populate(tracker, 2, zones=2)
    one.call(tracker, 1)
    assert [(peer.node, peer.take_only) for peer in imports(one)] == [(two.node, False)]
    assert [(peer.node, peer.take_only) for peer in imports(two)] == [(one.node, False)]


def test_an_importer_of_several_gives_nothing_to_the_only_node_of_a_zone_and_gets_all_from_it(
    tracker: Tracker,
) -> None:
    lone, *others = [FakeNode(0, zone="site"), *(FakeNode(n, zone="city") for n in range(1, 5))]
    for second in range(2):
        for node in (lone, *others):
            node.call(tracker, second)
            assert all(peer.take_only for peer in imports(node) if second)
    assert {peer.node for peer in imports(lone)} <= {node.node for node in others[1:]}


def test_where_a_zone_fills_whoever_gave_to_its_first_node_is_told_to_give_nothing(tracker: Tracker) -> None:
    one, two = populate(tracker, 2, zones=2)
    FakeNode(2, zone=one.zone).call(tracker, 1)
    one.call(tracker, 2)
    assert [(peer.node, peer.take_only) for peer in imports(one)] == [(two.node, True)]
    one.call(tracker, 3)
    assert not imports(one)


def test_where_a_zone_empties_to_one_the_other_only_nodes_give_to_that_one(tracker: Tracker) -> None:
    lone = FakeNode(0, zone="site")
    first, second = (FakeNode(n, zone="city") for n in (1, 2))
    for node in (first, second, lone):
        node.call(tracker, 0)
    assert [(peer.node, peer.take_only) for peer in imports(lone)] == [(second.node, True)]
    tracker.on_announce(first.announce(leaving=True), first.host, 1)
    lone.call(tracker, 2)
    assert [(peer.node, peer.take_only) for peer in imports(lone)] == [(second.node, False)]
    second.call(tracker, 2)
    assert [(peer.node, peer.take_only) for peer in imports(second)] == [(lone.node, False)]


def test_a_node_that_was_started_anew_is_told_again_whom_it_takes_from(tracker: Tracker) -> None:
    one, two = populate(tracker, 2, zones=2)
    two.call(tracker, 1)
    assert not imports(two)
    two.call(tracker, 2, full=True)
    assert [peer.node for peer in imports(two)] == [one.node]
