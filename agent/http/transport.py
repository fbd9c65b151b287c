"""`Transport`: the parts of one server connection that belong together: h11's state, both directions, who is there."""

from dataclasses import dataclass

import h11
import trio

from agent.http.byte_sender import ByteSender, StreamSender
from agent.http.inbound import Inbound
from agent.http.limits import HttpLimits
from agent.http.request import Peer
from agent.http.socket_sender import SocketSender


@dataclass(frozen=True, slots=True)
class Transport:
    protocol: h11.Connection
    inbound: Inbound
    sender: ByteSender
    peer: Peer

    @classmethod
    def over(cls, stream: trio.abc.Stream, limits: HttpLimits) -> "Transport":
        """A plain socket sends files by sendfile, any other stream by reading them."""
        protocol = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.header_bytes)
        inbound = Inbound(stream, protocol)
        if isinstance(stream, trio.SocketStream):
            return cls(protocol, inbound, SocketSender(stream, limits.write_seconds), _peer_of(stream))
        return cls(protocol, inbound, StreamSender(stream, limits.write_seconds), Peer("stream"))


def _peer_of(stream: trio.SocketStream) -> Peer:
    try:
        name = stream.socket.getpeername()
    except OSError:
        return Peer("tcp", "gone")
    return Peer("tcp", f"{name[0]}:{name[1]}") if isinstance(name, tuple) else Peer("unix")
