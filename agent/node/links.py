"""`Links`: all peer links of this node: who may link, dialling, accepting, one link a neighbour, bans.

A link begins with HELLO from either side (protocol version, cluster, node id). Where two nodes dial each other at the
same moment, the connection opened by the smaller node id stays. Who is banned is neither dialled nor accepted.
"""

from collections.abc import Callable
from dataclasses import dataclass

import trio

from agent.content.errors import InputError, PeerError
from agent.node.link_stream import LinkStream, link_stream
from agent.node.peer_link import LinkHandler, PeerLink
from agent.node.rate_limit import RateLimit
from agent.node.traffic import Traffic
from agent.settings.address import TcpAddress, parse_tcp_address
from agent.telemetry.logs import get_log
from agent.wire.node_id import NodeId, short
from agent.wire.peer_messages import (
    LENGTH_BYTES,
    PROTOCOL_VERSION,
    Hello,
    decode_body,
    encode_frame,
    frame_length,
)

DIAL_SECONDS = 1.0
_HELLO_SECONDS = 2.0
_BAN_SECONDS = 3600.0
_REDIAL_SECONDS = 5.0
_MAX_LINKS = 256

_log = get_log("shoal.links")


@dataclass(frozen=True, slots=True)
class LinkRules:
    """Who we are in HELLO, and the limits that all links share."""

    cluster: str
    node: NodeId
    upload: RateLimit
    download: RateLimit
    traffic: Traffic


class Links:
    def __init__(
        self,
        rules: LinkRules,
        handler: LinkHandler,
        on_up: Callable[[PeerLink], None],
        on_down: Callable[[PeerLink], None],
    ) -> None:
        self._rules = rules
        self._handler = handler
        self._on_up = on_up
        self._on_down = on_down
        self._links: dict[NodeId, PeerLink] = {}
        self._dialling: set[NodeId] = set()
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

    def ban(self, node: NodeId, reason: str) -> bool:
        """No link with it for an hour. True where that is new."""
        new = not self.is_banned(node)
        self._banned[node] = trio.current_time() + _BAN_SECONDS
        if new:
            _log.warning("peer banned", node=short(node), reason=reason)
        link = self._links.get(node)
        if link is not None:
            link.close(f"banned: {reason}")
        return new

    def dial(self, node: NodeId | None, address: str) -> None:
        """Link with a node if there is none and it may be; returns at once. `node` None: only its address is known."""
        if self._nursery is None or len(self._links) + len(self._dialling) >= _MAX_LINKS:
            return
        if node is not None:
            known = node == self._rules.node or node in self._links or node in self._dialling
            if known or self.is_banned(node) or self._unreachable.get(node, 0.0) > trio.current_time():
                return
            self._dialling.add(node)
        elif any(link.address == address for link in self._links.values()):
            return
        self._nursery.start_soon(self._dial, node, address)

    async def _dial(self, node: NodeId | None, address: str) -> None:
        try:
            stream = await _connect(address)
            await self._link(stream, address, dialled=True, expected=node)
        except PeerError as error:
            if node is not None:
                self._unreachable[node] = trio.current_time() + _REDIAL_SECONDS
            _log.debug("dial failed", address=address, reason=str(error))
        finally:
            if node is not None:
                self._dialling.discard(node)

    async def _accept(self, stream: trio.SocketStream) -> None:
        if len(self._links) >= _MAX_LINKS:
            await trio.aclose_forcefully(stream)
            return
        try:
            peer = stream.socket.getpeername()
            await self._link(stream, str(TcpAddress(peer[0], peer[1])), dialled=False, expected=None)
        except (PeerError, OSError) as error:
            _log.debug("link refused", reason=str(error))

    async def _link(
        self, raw: trio.abc.Stream, address: str, *, dialled: bool, expected: NodeId | None
    ) -> None:
        """Greet and run the link until it ends. Raises PeerError where the greeting fails."""
        stream = link_stream(raw)
        try:
            node = await self._greet(stream)
            self._check(node, expected)
        except BaseException:
            with trio.CancelScope(shield=True):
                await stream.aclose()
            raise
        link = PeerLink(
            stream,
            node,
            address,
            self._handler,
            dialled=dialled,
            upload=self._rules.upload,
            download=self._rules.download,
            traffic=self._rules.traffic,
        )
        old = self._links.get(node)
        if old is not None and old.dialled != dialled and dialled != (self._rules.node < node):
            await stream.aclose()  # both dialled: the one that the smaller id opened stays
            return
        if old is not None:
            old.close("replaced by a newer link")
            self._on_down(old)
        self._links[node] = link
        if expected is not None:
            self._dialling.discard(expected)
        self._on_up(link)
        try:
            await link.run()
        finally:
            if self._links.get(node) is link:
                del self._links[node]
                self._on_down(link)
            _log.debug("link ended", node=short(node), address=address, reason=link.why_closed)

    def _check(self, node: NodeId, expected: NodeId | None) -> None:
        if node == self._rules.node:
            raise PeerError("it is this node itself")
        if expected is not None and node != expected:
            raise PeerError(f"it is node {short(node)}, not {short(expected)}")
        if self.is_banned(node):
            raise PeerError(f"node {short(node)} is banned")

    async def _greet(self, stream: LinkStream) -> NodeId:
        with trio.move_on_after(_HELLO_SECONDS):
            await stream.send([encode_frame(Hello(PROTOCOL_VERSION, self._rules.cluster, self._rules.node))])
            length = frame_length(await _receive_exactly(stream, LENGTH_BYTES))
            hello = decode_body(await _receive_exactly(stream, length))
            if not isinstance(hello, Hello):
                raise PeerError("it did not say HELLO first")
            if hello.version != PROTOCOL_VERSION:
                raise PeerError(f"it speaks version {hello.version} of the protocol, we {PROTOCOL_VERSION}")
            if hello.cluster != self._rules.cluster:
                raise PeerError(f"it belongs to cluster {hello.cluster!r}, we to {self._rules.cluster!r}")
            return hello.node
        raise PeerError("it did not say HELLO in time")


async def _connect(address: str) -> trio.SocketStream:
    """Raises PeerError."""
    try:
        parsed = parse_tcp_address(address)
    except InputError as error:
        raise PeerError(str(error)) from None
    with trio.move_on_after(DIAL_SECONDS):
        try:
            return await trio.open_tcp_stream(parsed.host, parsed.port)
        except OSError as error:
            raise PeerError(f"cannot reach {address}: {error}") from None
    raise PeerError(f"cannot reach {address} within {DIAL_SECONDS:.0f} s")


async def _receive_exactly(stream: LinkStream, count: int) -> bytes:
    data = bytearray(count)
    position = 0
    while position < count:
        received = await stream.receive_into(memoryview(data)[position:])
        if received == 0:
            raise PeerError("it closed the link")
        position += received
    return bytes(data)
