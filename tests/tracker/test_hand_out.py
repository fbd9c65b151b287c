"""Which peers a node is told of."""

import pytest

from tests.tracker.nodes import FakeNode, node_id
from tracker.directory.hand_out import LEAST
from tracker.directory.pick_list import PickList
from tracker.directory.tracker import Tracker


def populate(tracker: Tracker, count: int, zones: int = 1, complete: int = 0) -> list[FakeNode]:
    nodes = [
        FakeNode(n, zone=f"zone-{n % zones}", rack=f"rack-{n % zones}-{n % 50}", complete=n < complete)
        for n in range(count)
    ]
    for node in nodes:
        node.call(tracker, 0)
    return nodes


def test_nobody_is_told_of_itself_or_of_anybody_twice(tracker: Tracker) -> None:
    nodes = populate(tracker, 40)
    for node in nodes:
        node.peers_wanted = 12
        node.call(tracker, 1)
        told = [peer.node for peer in node.swarm.peers]
        assert node.node not in told
        assert len(told) == len(set(told)) == 12


def test_at_least_ten_are_told_where_there_are_ten(tracker: Tracker) -> None:
    nodes = populate(tracker, LEAST + 1)
    nodes[0].peers_wanted = 1
    nodes[0].call(tracker, 1)
    assert len(nodes[0].swarm.peers) == LEAST


def test_a_node_that_wants_no_peers_gets_none(tracker: Tracker) -> None:
    nodes = populate(tracker, 20)
    nodes[0].call(tracker, 1)
    assert nodes[0].swarm.peers == ()


@pytest.mark.parametrize("count", [60, 500])
def test_neighbours_are_of_the_same_zone(tracker: Tracker, count: int) -> None:
    nodes = populate(tracker, count, zones=4)
    zone_of = {node.node: node.zone for node in nodes}
    nodes[33].peers_wanted = 12
    nodes[33].call(tracker, 1)
    assert [zone_of[peer.node] for peer in nodes[33].swarm.peers] == ["zone-1"] * 12


def test_without_zones_half_are_of_the_same_rack_and_the_rest_come_from_everywhere(tracker: Tracker) -> None:
    nodes = populate(tracker, 500)
    rack_of = {node.node: node.rack for node in nodes}
    nodes[11].peers_wanted = 12
    nodes[11].call(tracker, 1)
    racks = [rack_of[peer.node] for peer in nodes[11].swarm.peers]
    assert len(racks) == 12
    assert 6 <= racks.count(nodes[11].rack) <= 9


def test_the_same_rack_comes_before_the_same_zone(tracker: Tracker) -> None:
    nodes = populate(tracker, 400, zones=2)
    rack_of = {node.node: node.rack for node in nodes}
    nodes[0].peers_wanted = 12
    nodes[0].call(tracker, 1)
    assert sum(rack_of[peer.node] == nodes[0].rack for peer in nodes[0].swarm.peers) >= 6


def test_some_are_complete_where_some_are(tracker: Tracker) -> None:
    nodes = populate(tracker, 500, complete=5)
    nodes[-1].peers_wanted = 12
    nodes[-1].call(tracker, 1)
    assert sum(peer.complete for peer in nodes[-1].swarm.peers) >= 3


def test_a_complete_node_is_told_of_those_that_still_want_something(tracker: Tracker) -> None:
    nodes = populate(tracker, 40, complete=20)
    nodes[0].peers_wanted = 12
    nodes[0].call(tracker, 1)
    assert len(nodes[0].swarm.peers) == 12
    assert not any(peer.complete for peer in nodes[0].swarm.peers)


def test_a_node_that_left_is_told_of_no_more(tracker: Tracker) -> None:
    nodes = populate(tracker, 8)
    tracker.on_announce(nodes[3].announce(leaving=True), nodes[3].host, 1)
    nodes[0].peers_wanted = 12
    nodes[0].call(tracker, 1)
    assert node_id(3) not in {peer.node for peer in nodes[0].swarm.peers}
    assert len(nodes[0].swarm.peers) == 6


def test_a_node_that_moved_is_near_others_now(tracker: Tracker) -> None:
    nodes = populate(tracker, 200, zones=2)
    mover = nodes[1]
    mover.zone, mover.rack = "zone-0", "far away"
    mover.call(tracker, 1)
    swarm = tracker.directory.swarms[mover.digest]
    member = swarm.members[mover.node]
    assert member in swarm.by_zone["zone-0"]
    assert member not in swarm.by_zone["zone-1"]
    assert list(swarm.by_rack[("zone-0", "far away")]) == [member]


def test_a_pick_list_is_a_set_with_a_place_for_each() -> None:
    picks: PickList[int] = PickList()
    for number in range(10):
        picks.add(number)
        picks.add(number)
    picks.discard(4)
    picks.discard(4)
    picks.discard(9)
    assert sorted(picks[place] for place in range(len(picks))) == [0, 1, 2, 3, 5, 6, 7, 8]
    assert 4 not in picks
    assert 5 in picks
    for number in range(10):
        picks.discard(number)
    assert len(picks) == 0
