"""What linked neighbours try: it ends their link at most, and leaves nothing behind."""

import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.testing

from agent.content.chunk_map import ChunkMap
from agent.content.chunk_set import ChunkSet
from agent.content.digest import Digest
from agent.content.errors import PeerError
from agent.content.reference import Repository
from agent.node.flusher import Flusher
from agent.node.link_stream import AnyLinkStream
from agent.node.node import Node
from agent.node.patience import Patience
from agent.node.peer_link import PeerLink
from agent.node.rate_limit import RateLimit
from agent.node.source import Source
from agent.node.traffic import Traffic
from agent.telemetry.metrics import Metrics
from agent.wire import peer_messages as wire
from agent.wire.node_id import NodeId
from tests.agent.node.cluster import REGISTRY, open_cluster, pull
from tests.agent.node.fake_peer import FakePeer, key_of, open_fake_peer
from tests.fakes.upstream import Fault, open_upstream

LAYER = random.Random(11).randbytes(3_000_000)
DIGEST = Digest.of(LAYER)
CHUNKS = ChunkMap.of(len(LAYER))
SOURCE = Source(Repository(REGISTRY, "team/app"), "blobs")
EVERYTHING = ChunkSet.full(CHUNKS.count).to_bytes()


class Recorder:
    """A LinkHandler that notes what comes."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.sent: list[int] = []

    def on_message(self, link: PeerLink, message: wire.Message) -> None: ...

    def on_chunk(self, link: PeerLink, channel: int, index: int, data: bytearray) -> None:
        self.chunks.append(bytes(data))

    def on_sent(self, link: PeerLink, channel: int, index: int) -> None:
        self.sent.append(index)


class Ends:
    """A link over memory, and the raw other end of it."""

    def __init__(self, upload_rate: float | None = None) -> None:
        mine, theirs = trio.testing.memory_stream_pair()
        self.handler = Recorder()
        self.flusher = Flusher()
        self.other = FakePeer(AnyLinkStream(theirs), key_of(1))
        self.link = PeerLink(
            AnyLinkStream(mine),
            NodeId(bytes(32)),
            "memory",
            self.handler,
            dialled=True,
            upload=RateLimit(upload_rate),
            download=RateLimit(None),
            traffic=Traffic(Metrics()),
            flusher=self.flusher,
        )


@asynccontextmanager
async def _open_ends(upload_rate: float | None = None) -> AsyncIterator[Ends]:
    ends = Ends(upload_rate)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ends.flusher.run)
        nursery.start_soon(ends.link.run)
        yield ends
        nursery.cancel_scope.cancel()


async def _until_closed(link: PeerLink) -> str:
    with trio.fail_after(60):
        while not link.why_closed:
            await trio.sleep(0.1)
    return link.why_closed


async def test_frames_do_not_stand_for_the_chunk_that_is_owed(autojump_clock: trio.testing.MockClock) -> None:
    async with _open_ends() as ends:
        ends.link.expect(1, 0, 1000)
        for _ in range(20):
            await ends.other.send(wire.Ping())
            await trio.sleep(0.5)
            if ends.link.why_closed:
                break
        assert "owes a chunk" in ends.link.why_closed


async def test_a_neighbour_that_drips_is_let_go_of(autojump_clock: trio.testing.MockClock) -> None:
    async with _open_ends() as ends:
        ends.link.expect(1, 0, 1_000_000)
        began = trio.current_time()
        for offset in range(0, 100_000, 1000):
            try:
                await ends.other.send_chunk(1, 0, bytes(1000), offset)
            except PeerError:
                break
            await trio.sleep(1)
        assert ends.link.why_closed
        assert trio.current_time() - began < 15


async def test_a_chunk_that_is_not_awaited_any_more_leaves_an_idle_link_alone(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with _open_ends() as ends:
        ends.link.expect(1, 0, 1000)
        await trio.sleep(2)
        ends.link.forget(1, 0)
        await trio.sleep(10)
        assert not ends.link.why_closed


async def test_what_was_asked_for_and_cancelled_may_still_come_however_often() -> None:
    async with _open_ends() as ends:
        for index in range(20):
            ends.link.expect(1, index, 1_000_000)
            ends.link.forget(1, index)
            for offset in range(0, 1_000_000, 250_000):
                await ends.other.send_chunk(1, index, bytes(250_000), offset)
        ends.link.expect(1, 99, 3)
        await ends.other.send_chunk(1, 99, b"abc")
        with trio.fail_after(5):
            while not ends.handler.chunks:
                await trio.sleep(0.01)
        assert ends.handler.chunks == [b"abc"]


@pytest.mark.parametrize("trick", ["unasked", "longer", "again and again"])
async def test_chunks_out_of_order_end_the_link(trick: str) -> None:
    async with _open_ends() as ends:
        ends.link.expect(1, 0, 1000)
        try:
            for _ in range(50):
                match trick:
                    case "unasked":
                        await ends.other.send_chunk(7, 0, bytes(250_000))
                    case "longer":
                        await ends.other.send_chunk(1, 0, bytes(1001))
                    case _:
                        await ends.other.send_chunk(1, 0, bytes(500))
        except PeerError:
            pass
        assert await _until_closed(ends.link)
        assert ends.handler.chunks == []


async def test_frames_do_not_wait_for_the_upload_rate(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    path = tmp_path / "content"
    path.write_bytes(bytes(1_000_000))
    with path.open("rb") as file:
        async with _open_ends(upload_rate=10_000) as ends:
            ends.link.send_chunk(1, 0, file.fileno(), 0, 1_000_000)
            await trio.sleep(0.01)
            began = trio.current_time()
            ends.link.send(wire.Leave(5))
            await ends.other.receive_kind(wire.Leave)
            assert trio.current_time() - began < 1


async def test_a_descriptor_that_is_closed_and_used_anew_is_never_sent_from(tmp_path: Path) -> None:
    (tmp_path / "content").write_bytes(b"c" * 3_000_000)
    (tmp_path / "secret").write_bytes(b"s" * 3_000_000)
    async with _open_ends() as ends:
        fd = os.open(tmp_path / "content", os.O_RDONLY)
        ends.link.send_chunk(1, 0, fd, 0, 3_000_000)
        await trio.testing.wait_all_tasks_blocked()  # a segment is on its way
        ends.link.drop_sending(1)
        secret = os.open(tmp_path / "secret", os.O_RDONLY)
        os.dup2(secret, fd)
        taken = b""
        with trio.move_on_after(0.5):
            while True:
                buffer = bytearray(1 << 16)
                count = await ends.other.stream.receive_into(memoryview(buffer))
                taken += buffer[:count]
        assert b"c" * 1000 in taken
        assert b"s" * 1000 not in taken
        os.close(secret)
        os.close(fd)


def test_our_own_delay_is_not_the_neighbours() -> None:
    patience = Patience(0.0)
    patience.on_owed(0.0)
    patience.on_own_delay(60.0)
    assert patience.ends_at(is_owed=True) > 60.0


# ---- a whole node


@asynccontextmanager
async def _open_seeding_node(root: Path) -> AsyncIterator[Node]:
    async with open_upstream() as upstream:
        upstream.add_image("team/app", layers=[LAYER])
        async with open_cluster(upstream, root, 1) as cluster:
            await pull(cluster.nodes[0], "team/app")
            yield cluster.nodes[0]


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def _settle(node: Node, peer: FakePeer) -> None:
    """Until the node has answered all that was said before."""
    await peer.send(wire.Interest(4_000_000, Digest.of(b"nowhere"), 1, b"", b"", 0))
    while (
        not isinstance(message := await peer.receive_kind(wire.Reject), wire.Reject)
        or message.channel != 4_000_000
    ):
        pass


async def test_interests_in_a_swarm_on_many_channels_are_one_neighbour(tmp_path: Path) -> None:
    async with _open_seeding_node(tmp_path) as node:
        before = _descriptors()
        async with open_fake_peer(node) as peer:
            with trio.fail_after(10):
                for channel in range(300):
                    await peer.send(wire.Interest(channel, DIGEST, len(LAYER), b"", EVERYTHING, 2))
                await _settle(node, peer)
            side = next(iter(node.hub._sides.values()))
            assert list(side.channels) == [299]
            assert _descriptors() < before + 10


async def test_a_channel_used_anew_for_another_swarm_leaves_the_old_one(tmp_path: Path) -> None:
    async with _open_seeding_node(tmp_path) as node:
        other = next(digest for digest, size in node.store.complete_digests() if digest != DIGEST)
        size = node.store.size_of(other)
        assert size is not None
        async with open_fake_peer(node) as peer:
            with trio.fail_after(10):
                await peer.send(wire.Interest(1, DIGEST, len(LAYER), b"", b"", 2))
                await _settle(node, peer)
                await peer.send(wire.Interest(1, other, size, b"", b"", 2))
                await _settle(node, peer)
            with_neighbours = [session.digest for session in node.hub.sessions if session.neighbours]
            assert with_neighbours == [other]
        with trio.fail_after(10):
            while any(session.neighbours for session in node.hub.sessions):
                await trio.sleep(0.01)


async def test_a_flood_of_interests_in_what_is_not_here_leaves_nothing(tmp_path: Path) -> None:
    async with _open_seeding_node(tmp_path) as node:
        before = _descriptors(), len(node.hub.sessions)
        async with open_fake_peer(node) as peer, trio.open_nursery() as nursery:

            async def listen() -> None:
                rejected = 0
                while rejected < 3000:
                    rejected += isinstance(await peer.receive(), wire.Reject)

            nursery.start_soon(listen)
            with trio.fail_after(20):
                for number in range(3000):
                    await peer.send(wire.Interest(number, Digest.of(b"%d" % number), 1 << 50, b"", b"", 2))
        assert (_descriptors(), len(node.hub.sessions)) <= (before[0] + 3, before[1])
        assert len(node.tracker._news) <= 1000
        assert not node.hub._opening


@pytest.mark.parametrize(
    "message",
    [
        wire.Interest(1, DIGEST, len(LAYER), b"\xff" * 1000, b"", 2),
        wire.Hello(1, "default", NodeId(bytes(32)), bytes(32)),
        wire.Proof(bytes(64)),
    ],
    ids=["more chunks than there are", "HELLO again", "PROOF again"],
)
async def test_what_is_out_of_place_ends_the_link(tmp_path: Path, message: wire.Message) -> None:
    async with _open_seeding_node(tmp_path) as node, open_fake_peer(node) as peer:
        await peer.send(message)
        with trio.fail_after(5):
            await peer.receive_kind(wire.Bye)
            while node.hub.links.all:
                await trio.sleep(0.01)


async def test_what_makes_no_sense_is_answered_or_skipped(tmp_path: Path) -> None:
    async with _open_seeding_node(tmp_path) as node, open_fake_peer(node) as peer:
        with trio.fail_after(5):
            await peer.send(wire.Interest(1, DIGEST, len(LAYER) + 1, b"", b"", 2))
            assert (await peer.receive_kind(wire.Reject)) == wire.Reject(
                1, None, f"the blob has {len(LAYER)} bytes"
            )
            await peer.send(wire.Interest(1, DIGEST, len(LAYER), b"", b"", 2))
            await peer.send(wire.Offer(1, 1 << 24, None), wire.Offer(1, 0, None), wire.Request(1, 1 << 20))
            await peer.send(
                wire.Want(1, (1 << 24,), (1 << 24,), 1000, (1 << 24,)), wire.Have(1, (1 << 24, 0))
            )
            await peer.send(
                wire.Cancel(1, 5), wire.Cancel(99, 5), wire.Leave(99), wire.Reject(1, 1 << 24, "no")
            )
            await peer.send(wire.Reject(12345, None, "unknown"), wire.Leave(1))
            await _settle(node, peer)
        assert len(node.hub.links.all) == 1


async def test_gossip_is_checked_and_rare(tmp_path: Path) -> None:
    known = tuple(
        wire.KnownPeer(NodeId(bytes([number]) * 32), address)
        for number, address in enumerate(
            ["169.254.169.254:80", "name.example:80", "127.0.0.1:9", "0.0.0.0:1"], 1
        )
    )
    async with open_upstream() as upstream:
        upstream.faults.add(Fault(stall_before_answer=True))
        async with open_cluster(upstream, tmp_path, 1) as cluster:
            node = cluster.nodes[0]
            node.blobs.prefetch(DIGEST, SOURCE, len(LAYER), 30)
            async with open_fake_peer(node) as peer:
                with trio.fail_after(5):
                    while not node.hub.sessions:
                        await trio.sleep(0.01)
                    await peer.send(wire.Interest(1, DIGEST, len(LAYER), b"", b"", 2))
                    await peer.receive_kind(wire.Interest)
                    await peer.send(wire.Peers(1, known))
                    more = tuple(wire.KnownPeer(NodeId(bytes([9, n]) * 16), "127.0.0.1:9") for n in range(9))
                    await peer.send(wire.Peers(1, more))
                    await _settle(node, peer)
                session = next(one for one in node.hub.sessions if one.digest == DIGEST)
                assert dict(session.candidates) == {known[2].node: known[2].address}
