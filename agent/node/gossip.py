"""Gossip: neighbours are told of each other (PEERS), so that a swarm holds together while the tracker is away.

Nobody has checked what a neighbour tells of others: it is heard now and then, it replaces nothing that the tracker
told, and addresses that cannot be are passed over.
"""

from agent.node.peer_address import is_credible
from agent.node.session import SwarmSession
from agent.settings.address import TcpAddress
from agent.wire import peer_messages as wire
from agent.wire.tracker_calls import PeerAddress

_PEERS = 16
_LISTENERS = 4
_SECONDS = 5.0


class GossipPace:
    """One neighbour's: what it tells sooner than some seconds after the last time is not listened to."""

    def __init__(self) -> None:
        self._heard_at = float("-inf")

    def take(self, now: float) -> bool:
        """Whether to listen now; then not again for a while."""
        if now < self._heard_at + _SECONDS:
            return False
        self._heard_at = now
        return True


def news_of(message: wire.Peers, session: SwarmSession, own_address: TcpAddress) -> list[PeerAddress]:
    """Those whom we did not know."""
    return [
        PeerAddress(peer.node, peer.address, False)
        for peer in message.known[:_PEERS]
        if peer.node not in session.candidates and is_credible(peer.address, own_address)
    ]


def tell_of_each_other(session: SwarmSession, turn: int) -> None:
    """A few of the neighbours each time, in turn, who lack something."""
    known = [
        wire.KnownPeer(node, session.candidates[node])
        for node in list(session.neighbours)[:_PEERS]
        if node in session.candidates
    ]
    listeners = [peer.node for peer in session.swarm.peers if peer.want]
    if not known or not listeners:
        return
    start = turn * _LISTENERS % len(listeners)
    for node in listeners[start : start + _LISTENERS]:
        others = tuple(peer for peer in known if peer.node != node)
        session.neighbours[node].send(wire.Peers(session.channel, others))
