"""A bug in one place ends that place: the daemon goes on."""

import logging
from pathlib import Path
from typing import Any

import pytest
import trio

from agent.content.digest import Digest
from agent.content.errors import ShoalError
from agent.node.containment import contained
from agent.node.node import Node, open_node
from agent.telemetry.metrics import Metrics
from agent.wire.peer_messages import Bye, Interest, Reject
from agent.wire.tracker_calls import SwarmAnswer, SwarmReport
from tests.agent.node.cluster import IMPATIENT, REGISTRY, node_settings, open_cluster, open_tracker, pull
from tests.agent.node.fake_peer import key_of, open_fake_peer
from tests.fakes.upstream import open_upstream

LAYER = bytes(range(250)) * 1000
DIGEST = Digest.of(LAYER)


def _unexpected(node: Node) -> float:
    _, page = node.metrics.render()
    lines = [
        line
        for line in page.decode().splitlines()
        if line.startswith('shoal_errors_total{kind="unexpected"}')
    ]
    return float(lines[0].rpartition(" ")[2]) if lines else 0.0


class BrokenHop:
    """Writing chunks fails as only a bug can, until repaired."""

    def __init__(self) -> None:
        self.broken = True

    async def __call__(self, work: Any, *args: Any) -> Any:
        await trio.lowlevel.checkpoint()
        if self.broken and work.__name__ == "commit":
            raise RuntimeError("a bug in a download")
        return work(*args)


async def test_a_bug_in_a_download_fails_that_download_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hop = BrokenHop()
    async with open_upstream() as upstream, open_tracker() as tracker_url:
        upstream.add_image("team/app", layers=[LAYER])
        settings = node_settings(tmp_path / "node", upstream.url, tracker_url)
        async with open_node(settings, Metrics([REGISTRY]), hop, IMPATIENT) as node:
            with trio.fail_after(10):
                with pytest.raises(ShoalError, match="unexpected"):
                    await pull(node, "team/app")
                hop.broken = False
                await pull(node, "team/app")
            assert node.store.read(DIGEST, len(LAYER)) == LAYER
            assert _unexpected(node) >= 1
    assert any(record.exc_info and record.levelno == logging.ERROR for record in caplog.records)


class BrokenMember:
    def report(self, full: bool) -> SwarmReport:
        raise RuntimeError("a bug in a report")

    def on_answer(self, answer: SwarmAnswer) -> None:
        raise RuntimeError("a bug with an answer")


class HalfBrokenMember(BrokenMember):
    def report(self, full: bool) -> SwarmReport:
        return SwarmReport(Digest.of(b"other"), 5)


@pytest.mark.parametrize("member", [BrokenMember(), HalfBrokenMember()])
async def test_a_bug_with_one_swarm_does_not_silence_the_node_at_the_tracker(
    tmp_path: Path, member: BrokenMember
) -> None:
    async with open_upstream() as upstream:
        upstream.add_image("team/app", layers=[LAYER])
        async with open_cluster(upstream, tmp_path, 1) as cluster:
            node = cluster.nodes[0]
            node.tracker.join(Digest.of(b"other"), member)
            with trio.fail_after(10):
                await pull(node, "team/app")
            assert node.tracker.silent_since is None
            assert _unexpected(node) >= 1


async def test_a_bug_in_what_a_neighbour_sets_off_ends_that_link_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(*_: object) -> None:
        raise RuntimeError("a bug in a link")

    interest = Interest(1, DIGEST, len(LAYER), b"", b"", 2)
    async with open_upstream() as upstream, open_cluster(upstream, tmp_path, 1) as cluster:
        node = cluster.nodes[0]
        async with open_fake_peer(node, key_of(1)) as bystander:
            monkeypatch.setattr(node.hub, "on_message", break_down)
            async with open_fake_peer(node, key_of(2)) as peer:
                await peer.send(interest)
                with trio.fail_after(5):
                    await peer.receive_kind(Bye)
                    while _unexpected(node) != 1:
                        await trio.sleep(0.01)
            monkeypatch.undo()
            await bystander.send(interest)
            with trio.fail_after(5):
                await bystander.receive_kind(Reject)


async def test_a_bug_in_a_timer_ends_that_swarm_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_upstream() as upstream:
        upstream.add_image("team/app", layers=[LAYER])
        async with open_cluster(upstream, tmp_path, 1) as cluster:
            node = cluster.nodes[0]
            await pull(node, "team/app")
            broken, *others = node.hub.sessions
            monkeypatch.setattr(broken.swarm, "on_timer", lambda now: 1 / 0)
            broken.timer_at = 0.0
            node.hub._on_change(broken)
            with trio.fail_after(5):
                while broken in node.hub.sessions:
                    await trio.sleep(0.01)
            assert node.hub.sessions == others
            assert _unexpected(node) == 1


async def test_a_cancellation_passes_and_a_bug_beside_it_does_not() -> None:
    async def fail() -> None:
        raise RuntimeError("a bug")

    metrics = Metrics()
    with trio.CancelScope() as scope:
        with contained(metrics, "a test"):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(fail)
                scope.cancel()
                await trio.sleep_forever()
        await trio.lowlevel.checkpoint()
    assert scope.cancelled_caught
