"""How often a node calls its tracker."""

import itertools
import random
from typing import cast

import trio
import trio.testing

from agent.content.digest import Digest
from agent.node.tracker_client import TrackerClient
from agent.node.tracker_session import Identity, TrackerSession
from agent.telemetry.metrics import Metrics
from agent.telemetry.page import MetricsPage
from agent.wire.node_id import NodeId
from agent.wire.tracker_calls import Announce, AnnounceAnswer, SwarmAnswer, SwarmReport


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


class Layer:
    """A swarm that this node works on, and of which there is nothing new."""

    def __init__(self, digest: Digest) -> None:
        self._digest = digest

    def report(self, full: bool) -> SwarmReport:
        del full
        return SwarmReport(self._digest, None)

    def on_answer(self, answer: SwarmAnswer) -> None:
        del answer


async def calls_while_woken(layers: int, seconds: float) -> list[float]:
    """When, from the first event after a rest on, a node called that has something to tell each millisecond."""
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
        for number in range(layers):
            digest = Digest.of(b"%d" % number)
            session.join(digest, Layer(digest))
        while trio.current_time() < began_at + seconds:
            session.wake()
            await trio.sleep(0.001)
        nursery.cancel_scope.cancel()
    return [at - began_at for at in tracker.called_at]


async def test_after_a_rest_three_calls_may_be_close_and_then_they_are_spread(
    autojump_clock: trio.testing.MockClock,
) -> None:
    called_at = await calls_while_woken(0, 3)
    gaps = [later - sooner for sooner, later in itertools.pairwise(called_at)]
    assert called_at[0] < 0.02
    assert max(gaps[:2]) < 0.01
    assert min(gaps[3:]) > 0.025
    assert 95 <= len(called_at) <= 105


async def test_calls_that_tell_of_many_layers_are_fewer_and_the_first_is_as_soon(
    autojump_clock: trio.testing.MockClock,
) -> None:
    called_at = await calls_while_woken(50, 3)
    assert called_at[0] < 0.02
    assert 35 <= len(called_at) <= 40
    assert 20 <= len(await calls_while_woken(1000, 3)) <= 25  # and no fewer than that
