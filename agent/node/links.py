"""`Links`: all peer links of this node: who may link, dialling, accepting, one link a neighbour, bans.

Where two nodes dial each other at the same moment, the connection that the smaller node id opened becomes the link: it
declines the other one before that is a link (handshake.py), so nothing comes up only to go down again. Who is banned is
neither dialled nor accepted. Connections that have not greeted yet are few, and have little time.
"""

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass

import trio

from agent.content.errors import PeerError
from agent.node.containment import contained
from agent.node.flusher import Flusher
from agent.node.handshake import HANDSHAKE_SECONDS, Declined, greet_as_acceptor, greet_as_dialler
from agent.node.link_stream import LinkStream, link_stream
from agent.node.peer_address import dialable
from agent.node.peer_link import LinkHandler, PeerLink
from agent.node.rate_limit import RateLimit
from agent.node.traffic import Traffic
from agent.settings.address import TcpAddress
from agent.telemetry.logs import get_log
from agent.telemetry.metrics import Metrics
from agent.wire.node_id import NodeId, short
from agent.wire.peer_messages import Bye, Message, encode_frame
from agent.wire.vouch import NodeKey

DIAL_SECONDS = 1.0
_BAN_SECONDS = 3600.0
_REDIAL_SECONDS = 5.0
_MAX_LINKS = 256
_MAX_ACCEPTED = 192  # strangers cannot take the room for the links that this node wants itself
_MAX_GREETING = 64
_CROSSED_SECONDS = DIAL_SECONDS + HANDSHAKE_SECONDS  # a connection that crossed ours is no older than this

_log = get_log("shoal.links")


@dataclass(frozen=True, slots=True)
class LinkRules:
    """Who we are, and the limits that all links share. `address`: where the others reach this node."""

    cluster: str
    key: NodeKey
    address: TcpAddress
    upload: RateLimit
    download: RateLimit
    traffic: Traffic
    metrics: Metrics


class Links:
    def __init__(
        self,
        rules: LinkRules,
        handler: LinkHandler,
        on_up: Callable[[PeerLink], None],
        on_down: Callable[[PeerLink], None],
    ) -> None:
        self._rules = rules
        self._node = rules.key.node
        self._handler = handler
        self._on_up = on_up
        self._on_down = on_down
        self._flusher = Flusher()
        self._links: dict[NodeId, PeerLink] = {}
        self._dialling: set[NodeId] = set()
        self._greeting = 0
        self._unreachable: dict[NodeId, float] = {}
        self._banned: dict[NodeId, float] = {}
        self._nursery: trio.Nursery | None = None

    async def run(
        self,
        listeners: list[trio.SocketListener],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Accept and dial until cancelled; then every link says BYE."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            nursery.start_soon(self._flusher.run)
            task_status.started()
            try:
                await trio.serve_listeners(self._accept, listeners, handler_nursery=nursery)
            finally:
                self._nursery = None

    def get(self, node: NodeId) -> PeerLink | None:
        return self._links.get(node)

    @property
    def all(self) -> list[PeerLink]:
        return list(self._links.values())

    def is_banned(self, node: NodeId) -> bool:
        until = self._banned.get(node)
        return until is not None and until > trio.current_time()

    def ban(self, node: NodeId, reason: str) -> None:
        """No link with it for an hour."""
        if not self.is_banned(node):
            _log.warning("peer banned", node=short(node), reason=reason)
        _note(self._banned, node, _BAN_SECONDS)
        link = self._links.get(node)
        if link is not None:
            link.close(f"banned: {reason}")

    def dial(self, node: NodeId, address: str) -> None:
        """Link with a node if there is no link and there may be one; returns at once."""
        if self._nursery is None or len(self._links) + len(self._dialling) >= _MAX_LINKS:
            return
        known = node == self._node or node in self._links or node in self._dialling
        if known or self.is_banned(node) or self._unreachable.get(node, 0.0) > trio.current_time():
            return
        self._dialling.add(node)
        self._nursery.start_soon(self._dial, node, address)

    # ---- connections become links

    async def _dial(self, node: NodeId, address: str) -> None:
        with contained(self._rules.metrics, f"the link with {address}"):
            try:
                stream = await self._open(node, address)
            except Declined as error:
                _log.debug("dial declined", address=address, reason=str(error))
                return
            except PeerError as error:
                _note(self._unreachable, node, _REDIAL_SECONDS)
                _log.debug("dial failed", address=address, reason=str(error))
                return
            finally:
                self._dialling.discard(node)
            async with aclosing(stream):
                if node not in self._links:
                    await self._run(self._link(stream, node, address, dialled=True), None)

    async def _open(self, node: NodeId, address: str) -> LinkStream:
        """A connection with that node, which consents to a link. Raises PeerError."""
        rules = self._rules
        stream = link_stream(await _connect(dialable(address)))
        try:
            await greet_as_dialler(stream, rules.key, rules.cluster, lambda found: self._check(found, node))
        except BaseException:
            await stream.aclose()
            raise
        return stream

    async def _accept(self, raw: trio.SocketStream) -> None:
        with contained(self._rules.metrics, "an accepted link"):
            async with aclosing(link_stream(raw)) as stream:
                try:
                    peer = raw.socket.getpeername()
                    await self._welcome(stream, str(TcpAddress(peer[0], peer[1])))
                except (PeerError, OSError) as error:
                    _log.debug("link refused", reason=str(error))

    async def _welcome(self, stream: LinkStream, address: str) -> None:
        """Raises PeerError."""
        accepted = sum(not link.dialled for link in self._links.values())
        if accepted >= _MAX_ACCEPTED or self._greeting >= _MAX_GREETING:
            raise PeerError("there are too many links")
        rules = self._rules
        self._greeting += 1
        try:
            node, consent = await greet_as_acceptor(stream, rules.key, rules.cluster, self._check)
        finally:
            self._greeting -= 1
        if self._crosses(node):
            await stream.send([encode_frame(Bye("we have just dialled you"))])
            return
        await self._run(self._link(stream, node, address, dialled=False), consent)

    def _crosses(self, node: NodeId) -> bool:
        """Do we open, or have just opened, a connection to it ourselves, and is ours the one to keep?"""
        if self._node > node:
            return False
        link = self._links.get(node)
        fresh = link is not None and link.dialled and link.seconds_up < _CROSSED_SECONDS
        return fresh or node in self._dialling

    def _check(self, node: NodeId, expected: NodeId | None = None) -> None:
        """Raises PeerError where there may be no link with it."""
        if expected is not None and node != expected:
            raise PeerError(f"it is node {short(node)}, not {short(expected)}")
        if expected is not None and node in self._links:
            raise Declined("it has linked with us meanwhile")
        if self.is_banned(node):
            raise PeerError(f"node {short(node)} is banned")

    def _link(self, stream: LinkStream, node: NodeId, address: str, *, dialled: bool) -> PeerLink:
        rules = self._rules
        return PeerLink(
            stream,
            node,
            address,
            self._handler,
            dialled=dialled,
            upload=rules.upload,
            download=rules.download,
            traffic=rules.traffic,
            flusher=self._flusher,
        )

    async def _run(self, link: PeerLink, first: Message | None) -> None:
        """Until the link ends. A link that it had before is replaced: the other side has started anew."""
        node = link.node
        old = self._links.get(node)
        if old is not None:
            old.close("replaced by a newer link")
            self._on_down(old)
        self._links[node] = link
        if first is not None:
            link.send(first)
        try:
            self._on_up(link)
            await link.run()
        finally:
            if self._links.get(node) is link:
                del self._links[node]
                self._on_down(link)
            _log.debug("link ended", node=short(node), address=link.address, reason=link.why_closed)


def _note(until: dict[NodeId, float], node: NodeId, seconds: float) -> None:
    """Note a node for a time; forget those whose time is over."""
    now = trio.current_time()
    for over in [one for one, at in until.items() if at <= now]:
        del until[over]
    until[node] = now + seconds


async def _connect(address: TcpAddress) -> trio.SocketStream:
    """Raises PeerError."""
    with trio.move_on_after(DIAL_SECONDS):
        try:
            return await trio.open_tcp_stream(address.host, address.port)
        except OSError as error:
            raise PeerError(f"cannot reach {address}: {error}") from None
    raise PeerError(f"cannot reach {address} within {DIAL_SECONDS:.0f} s")
