"""Who may link with a node, and how two nodes end up with one link."""

import os
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trio

from agent.content.errors import PeerError
from agent.node.handshake import Declined, greet_as_dialler
from agent.node.link_stream import link_stream
from agent.node.links import Links
from agent.node.peer_address import is_credible
from agent.node.peer_link import PeerLink
from agent.settings.address import TcpAddress
from agent.wire import peer_messages as wire
from agent.wire.node_id import NodeId
from agent.wire.vouch import NodeKey
from tests.agent.node.cluster import Cluster, open_cluster
from tests.agent.node.fake_peer import connect, key_of, open_fake_peer
from tests.fakes.upstream import open_upstream


class Impostor(NodeKey):
    """Claims another node's id, and signs with a key of its own."""

    def __init__(self, victim: NodeId) -> None:
        super().__init__(NodeKey.from_seed(os.urandom(32), "default")._private, "default")
        self.node = victim


async def _until_links(links: Links, count: int) -> None:
    with trio.fail_after(5):
        while len(links.all) != count:
            await trio.sleep(0.01)


async def test_nobody_links_in_anothers_name(tmp_path: Path) -> None:
    async with open_upstream() as upstream, open_cluster(upstream, tmp_path, 1) as cluster:
        node = cluster.nodes[0]
        async with open_fake_peer(node, key_of(1)) as honest:
            await _until_links(node.hub.links, 1)
            link = node.hub.links.get(honest.key.node)
            with pytest.raises(PeerError):
                async with open_fake_peer(node, Impostor(honest.key.node)):
                    pass
            assert node.hub.links.all == [link]


async def test_a_proof_of_another_connection_proves_nothing(tmp_path: Path) -> None:
    async with open_upstream() as upstream, open_cluster(upstream, tmp_path, 1) as cluster:
        node, key = cluster.nodes[0], key_of(1)
        stream = link_stream(await connect(node))
        await stream.send([wire.encode_frame(wire.Hello(1, "default", key.node, bytes(32)))])
        await stream.send([wire.encode_frame(wire.Proof(key.sign(b"shoal link 1\nold")))])
        with trio.fail_after(5):
            received, buffer = 0, memoryview(bytearray(10_000))
            with pytest.raises((PeerError, EOFError)):
                while count := await stream.receive_into(buffer):
                    received += count
                raise EOFError
        assert node.hub.links.all == []
        await stream.aclose()


async def test_a_banned_node_is_not_let_in_again(tmp_path: Path) -> None:
    async with open_upstream() as upstream, open_cluster(upstream, tmp_path, 1) as cluster:
        links = cluster.nodes[0].hub.links
        async with open_fake_peer(cluster.nodes[0], key_of(1)):
            await _until_links(links, 1)
            links.ban(key_of(1).node, "a test")
            await _until_links(links, 0)
        with pytest.raises(PeerError):
            async with open_fake_peer(cluster.nodes[0], key_of(1)):
                pass
        async with open_fake_peer(cluster.nodes[0], key_of(2)):
            await _until_links(links, 1)


async def test_connections_that_never_greet_leave_room_for_those_that_do(tmp_path: Path) -> None:
    """They are let go of; nobody's patience is needed for long."""
    async with (
        open_upstream() as upstream,
        open_cluster(upstream, tmp_path, 1) as cluster,
        AsyncExitStack() as stack,
    ):
        node = cluster.nodes[0]
        silent = [await stack.enter_async_context(await connect(node)) for _ in range(80)]
        with trio.fail_after(1):
            assert [await stream.receive_some(1000) for stream in silent[:64]]
        refused = 0
        for stream in silent[64:]:
            with trio.move_on_after(1):
                try:
                    refused += not await stream.receive_some(1000)
                except trio.BrokenResourceError:
                    refused += 1
        assert refused == 16
        for stream in silent:
            await stream.aclose()
        async with open_fake_peer(node):
            await _until_links(node.hub.links, 1)


def _noting(ups: list[PeerLink], on_up: Callable[[PeerLink], None]) -> Callable[[PeerLink], None]:
    def note(link: PeerLink) -> None:
        ups.append(link)
        on_up(link)

    return note


@pytest.mark.parametrize("_attempt", range(3))
async def test_of_two_nodes_that_dial_each_other_at_once_one_link_comes_up_and_stays(
    tmp_path: Path, _attempt: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_upstream() as upstream, open_cluster(upstream, tmp_path, 2) as cluster:
        ups: list[PeerLink] = []
        for node in cluster.nodes:
            links = node.hub.links
            monkeypatch.setattr(links, "_on_up", _noting(ups, links._on_up))
        one, other = cluster.nodes
        one.hub.links.dial(other.key.node, other.peer_address)
        other.hub.links.dial(one.key.node, one.peer_address)
        await _until_links(one.hub.links, 1)
        await _until_links(other.hub.links, 1)
        await trio.sleep(0.1)
        assert len(ups) == 2
        assert all(link in ups for node in cluster.nodes for link in node.hub.links.all)
        assert one.hub.links.all[0].dialled != other.hub.links.all[0].dialled


async def test_a_node_that_started_anew_replaces_its_old_link(tmp_path: Path) -> None:
    async with (
        open_upstream() as upstream,
        Cluster(upstream, "", tmp_path).open_node("node") as node,
        open_fake_peer(node, key_of(1)),
    ):
        await _until_links(node.hub.links, 1)
        old = node.hub.links.all[0]
        async with open_fake_peer(node, key_of(1)):
            with trio.fail_after(5):
                while node.hub.links.get(key_of(1).node) is old:
                    await trio.sleep(0.01)
            await _until_links(node.hub.links, 1)


@pytest.mark.parametrize(
    "address",
    [
        "name.example:80",
        "10.0.0.1:0",
        "0.0.0.0:80",
        "224.0.0.1:80",
        "169.254.169.254:80",
        "[fe80::1]:80",
        "[::]:80",
        "127.0.0.1:22",
        "[::1]:80",
        "[::ffff:127.0.0.1]:22",
        "",
        "x" * 300,
    ],
)
def test_an_address_told_by_a_neighbour_is_not_dialled_where_no_peer_can_be(address: str) -> None:
    assert not is_credible(address, TcpAddress("10.0.0.5", 5051))


def test_an_address_told_by_a_neighbour_may_be_on_loopback_where_this_node_is() -> None:
    assert is_credible("127.0.0.1:5051", TcpAddress("127.0.0.1", 5052))
    assert is_credible("10.0.0.1:5051", TcpAddress("10.0.0.5", 5051))


async def test_who_declines_says_so(tmp_path: Path) -> None:
    """A dialler that is declined may try again soon, unlike one that reached nobody."""
    async with open_upstream() as upstream, open_cluster(upstream, tmp_path, 1) as cluster:
        node = cluster.nodes[0]
        small = min((key_of(number) for number in range(1, 200)), key=lambda key: key.node)
        large = max((key_of(number) for number in range(1, 200)), key=lambda key: key.node)
        assert small.node < node.key.node < large.node
        node.hub.links._dialling |= {small.node, large.node}
        async with open_fake_peer(node, small):
            await _until_links(node.hub.links, 1)
        stream = link_stream(await connect(node))
        with pytest.raises(Declined, match="dialled you"):
            await greet_as_dialler(stream, large, "default", lambda found: None)
        await stream.aclose()
