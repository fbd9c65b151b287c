"""How often a node calls its tracker."""

import random
from typing import cast

import trio
import trio.testing

from agent.node.tracker_client import TrackerClient
from agent.node.tracker_session import Identity, TrackerSession
from agent.telemetry.metrics import Metrics
from agent.telemetry.page import MetricsPage
from agent.wire.node_id import NodeId
from agent.wire.tracker_calls import Announce, AnnounceAnswer


class Tracker:
    """Answers at once, and notes when it was called."""

    def __init__(self) -> None:
        self.called_at: list[float] = []

    async def announce(self, announce: Announce) -> AnnounceAnswer:
        await trio.lowlevel.checkpoint()
        if not announce.leaving:
            self.called_at.append(trio.current_time())
        return AnnounceAnswer(interval_seconds=1000.0, resync=False, nodes=1)

    def is_cut(self) -> bool:
        return False

    async def aclose(self) -> None:
        pass


async def test_after_a_rest_three_calls_may_be_close_and_then_they_are_spread(
    autojump_clock: trio.testing.MockClock,
) -> None:
    tracker = Tracker()
    identity = Identity("c", NodeId(bytes(32)), "n", "a:1", "", "")
    metrics = Metrics([], MetricsPage("1"))
    session = TrackerSession(
        cast(TrackerClient, tracker), identity, list, lambda _: None, metrics, random.Random(1)
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(session.run)
        await trio.sleep(10)
        del tracker.called_at[:]
        began_at = trio.current_time()
        while trio.current_time() < began_at + 3:
            session.wake()
            await trio.sleep(0.001)
        nursery.cancel_scope.cancel()
    gaps = [later - sooner for sooner, later in zip(tracker.called_at, tracker.called_at[1:], strict=False)]
    assert tracker.called_at[0] - began_at < 0.02
    assert max(gaps[:2]) < 0.01
    assert min(gaps[3:]) > 0.025
    assert 95 <= len(tracker.called_at) <= 105
