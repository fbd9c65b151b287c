"""Peers that send wrong bytes, lie, flood, or say nothing: nobody is served a wrong byte, and every pull ends well."""

import os
import random
from pathlib import Path

import pytest
import trio

from agent.content.digest import Digest
from agent.node.node import Node
from agent.wire.node_id import NodeId
from agent.wire.peer_messages import Hello, encode_frame
from tests.agent.node.cluster import Cluster, open_cluster, pull
from tests.fakes.upstream import FakeUpstream, Fault, open_upstream

pytestmark = pytest.mark.slow

LAYER = random.Random(3).randbytes(2_000_000)
DIGEST = Digest.of(LAYER)


def _spoil(node: Node, digest: Digest) -> None:
    """Turn the stored bytes over, behind the store's back: from now on this node seeds something else."""
    path = node.store.root / "blobs" / digest.algorithm / digest.hex
    with path.open("r+b") as file:
        content = file.read()
        file.seek(0)
        file.write(bytes(byte ^ 0xFF for byte in content))


def _metric(node: Node, name: str) -> float:
    _, page = node.metrics.render()
    return sum(
        float(line.rpartition(" ")[2])
        for line in page.decode().splitlines()
        if line.startswith(f"shoal_{name}")
    )


async def test_a_peer_that_sends_wrong_bytes_is_named_banned_and_never_passed_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_upstream() as upstream:
        upstream.add_image("team/app", layers=[LAYER])
        async with open_cluster(upstream, tmp_path, 4) as cluster:
            evil, *good = cluster.nodes
            await pull(evil, "team/app")
            _spoil(evil, DIGEST)
            with trio.fail_after(30):
                async with trio.open_nursery() as nursery:
                    for node in good:
                        nursery.start_soon(pull, node, "team/app")
            for node in good:
                assert node.store.verify(DIGEST)
                assert node.store.read(DIGEST, len(LAYER)) == LAYER
            banning = [node for node in good if node.hub.links.is_banned(evil.key.node)]
            assert banning
            assert all(_metric(node, "peer_bans_total") == 1 for node in banning)
            assert any(_metric(node, 'chunk_failures_total{reason="digest"}') >= 1 for node in good)
    assert any(
        getattr(record, "fields", {}).get("peer") == evil.key.node.hex()[:12]
        for record in caplog.records
        if record.getMessage() == "peer sent a wrong chunk"
    )


async def _listen_and_say(replies: bytes, listeners: list[trio.SocketListener]) -> None:
    async def serve(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.send_all(replies)
            await trio.sleep_forever()

    await trio.serve_listeners(serve, listeners)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        os.urandom(5000),
        b"\xff\xff\xff\xff",
        b"\0\0\0\x01\x93",
        encode_frame(Hello(1, "another cluster", NodeId(bytes(32)), bytes(32))),
        encode_frame(Hello(99, "default", NodeId(bytes(32)), bytes(32))),
        encode_frame(Hello(1, "default", NodeId(bytes(32)), bytes(32))) * 2,
    ],
    ids=[
        "silence",
        "noise",
        "huge frame",
        "torn msgpack",
        "another cluster",
        "another version",
        "two hellos",
    ],
)
async def test_a_node_that_does_not_speak_the_protocol_holds_nobody_up(tmp_path: Path, said: bytes) -> None:
    async with open_upstream() as upstream:
        upstream.add_image("team/app", layers=[LAYER])
        async with open_cluster(upstream, tmp_path, 2) as cluster, trio.open_nursery() as nursery:
            listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
            nursery.start_soon(_listen_and_say, said, listeners)
            port = listeners[0].socket.getsockname()[1]
            for node in cluster.nodes:
                node.hub.links.dial(NodeId(bytes(32)), f"127.0.0.1:{port}")
            with trio.fail_after(10):
                async with trio.open_nursery() as pulls:
                    for node in cluster.nodes:
                        pulls.start_soon(pull, node, "team/app")
            assert all(node.store.verify(DIGEST) for node in cluster.nodes)
            nursery.cancel_scope.cancel()


async def test_noise_on_an_accepted_link_ends_that_link_alone(tmp_path: Path) -> None:
    async with open_upstream() as upstream, open_cluster(upstream, tmp_path, 1) as cluster:
        host, _, port = cluster.nodes[0].peer_address.rpartition(":")
        for said in (
            os.urandom(3000),
            encode_frame(Hello(1, "default", NodeId(bytes(32)), bytes(32))) + b"\0\0\0\x05hello",
        ):
            async with await trio.open_tcp_stream(host, int(port)) as stream:
                await stream.send_all(said)
                with trio.fail_after(5):
                    try:
                        while await stream.receive_some(1000):
                            pass
                    except trio.BrokenResourceError:
                        pass
        assert cluster.nodes[0].hub.links.all == []


async def _pull_while_registry_is_slow(cluster: Cluster, upstream: FakeUpstream) -> None:
    upstream.faults.add(Fault(bytes_per_second=4_000_000), match=f"/blobs/{DIGEST}")
    async with trio.open_nursery() as nursery:
        for node in cluster.nodes:
            nursery.start_soon(pull, node, "team/app")


async def test_a_node_that_dies_in_the_middle_costs_the_others_nothing(tmp_path: Path) -> None:
    async with open_upstream() as upstream:
        upstream.add_image("team/app", layers=[LAYER])
        async with open_cluster(upstream, tmp_path, 3) as cluster:
            async with trio.open_nursery() as nursery:

                async def short_life() -> None:
                    async with cluster.open_node("short-lived") as node:
                        with trio.move_on_after(0.25):
                            await pull(node, "team/app")

                nursery.start_soon(short_life)
                with trio.fail_after(20):
                    await _pull_while_registry_is_slow(cluster, upstream)
            for node in cluster.nodes:
                assert node.store.read(DIGEST, len(LAYER)) == LAYER
