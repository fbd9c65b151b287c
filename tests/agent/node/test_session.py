"""What a session keeps while neighbours come and go."""

from dataclasses import dataclass, field
from typing import cast

from trio.testing import MockClock

from agent.node.in_flight import Budget
from agent.node.peer_link import PeerLink
from agent.node.session import SwarmSession
from agent.wire import peer_messages as wire
from agent.wire.node_id import NodeId
from tests.agent.swarm.test_swarm import ANN, BOB, seed


@dataclass
class Link:
    node: NodeId
    sent: list[wire.Message] = field(default_factory=list)

    def send(self, message: wire.Message) -> None:
        self.sent.append(message)

    def drop_sending(self, channel: int) -> None: ...


async def test_the_last_neighbour_that_leaves_starts_the_idle_time(mock_clock: MockClock) -> None:
    session = SwarmSession(seed(), 1, "", 0, None, lambda *_: None, lambda _: None, Budget(1 << 20))
    for node in (ANN, BOB):
        session.on_interest(cast(PeerLink, Link(node)), wire.Interest(1, session.digest, 800, b"", b"", 0))
    began = session.idle_since
    mock_clock.jump(10)
    session.on_leave(ANN)
    assert session.idle_since == began
    session.on_leave(BOB)
    assert session.idle_since == began + 10


async def test_a_neighbour_in_another_zone_is_known_as_such() -> None:
    session = SwarmSession(seed(), 1, "city", 0, None, lambda *_: None, lambda _: None, Budget(1 << 20))
    for node, zone in ((ANN, "city"), (BOB, "site")):
        interest = wire.Interest(1, session.digest, 800, b"", b"", 0, zone)
        session.on_interest(cast(PeerLink, Link(node)), interest)
    assert {peer.node: peer.other_zone for peer in session.swarm.peers} == {ANN: "", BOB: "site"}


async def test_a_neighbour_is_told_the_zone() -> None:
    session = SwarmSession(seed(), 1, "city", 0, None, lambda *_: None, lambda _: None, Budget(1 << 20))
    link = Link(ANN)
    session.greet(cast(PeerLink, link))
    (message,) = link.sent
    assert isinstance(message, wire.Interest)
    assert message.zone == "city"
