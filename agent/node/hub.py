"""`SwarmHub`: all swarms of this node over all its links. Frames find their session here, neighbours and sessions each
other, and timers fire.

A blob that is whole on disk needs no session until somebody is interested in it; it gets one then, and loses it when it
has had no neighbour for a while.
"""

from collections.abc import Callable, Iterable
from itertools import count

import trio

from agent.content.digest import Digest
from agent.content.errors import PeerError
from agent.node.links import LinkRules, Links
from agent.node.peer_link import PeerLink
from agent.node.session import ContentSink, SwarmSession
from agent.swarm.swarm import Swarm
from agent.wire import peer_messages as wire
from agent.wire.node_id import NodeId
from agent.wire.tracker_calls import PeerAddress

_IDLE_SEED_SECONDS = 60.0
_SWEEP_SECONDS = 10.0
_GOSSIP_PEERS = 16

OpenSeed = Callable[[Digest], "SeedContent | None"]
OnBan = Callable[[Digest, NodeId, int | None, str], None]


class SeedContent:
    """A whole blob to seed: its swarm, a descriptor, and how to close it."""

    def __init__(self, swarm: Swarm, fd: int, close: Callable[[], None]) -> None:
        self.swarm = swarm
        self.fd = fd
        self.close = close


class SwarmHub:
    """The LinkHandler of all links. `open_seed` gives a whole blob's content where this node has it."""

    def __init__(
        self,
        rules: LinkRules,
        neighbours: int,
        open_seed: OpenSeed,
        on_ban: OnBan,
        on_unknown: Callable[[Digest], None],
    ) -> None:
        """`neighbours`: how many a swarm links with by itself. `on_unknown`: somebody asked for a blob that is not
        here.
        """
        self.links = Links(rules, self, self._on_link_up, self._on_link_down)
        self._neighbours = neighbours
        self._open_seed = open_seed
        self._on_ban = on_ban
        self._on_unknown = on_unknown
        self._channels = count(1)
        self._sessions: dict[Digest, SwarmSession] = {}
        self._by_channel: dict[int, SwarmSession] = {}
        self._closers: dict[Digest, Callable[[], None]] = {}
        self._remote: dict[PeerLink, dict[int, SwarmSession]] = {}
        self._greeted: dict[PeerLink, set[int]] = {}
        self._timer = trio.CancelScope()

    async def run(
        self,
        listeners: list[trio.SocketListener],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._run_timers)
            nursery.start_soon(self._run_housekeeping)
            try:
                await self.links.run(listeners, task_status=task_status)
            finally:
                for session in list(self._sessions.values()):
                    self.end(session)

    @property
    def sessions(self) -> list[SwarmSession]:
        return list(self._sessions.values())

    def begin(
        self, swarm: Swarm, fd: int, sink: ContentSink | None, close: Callable[[], None]
    ) -> SwarmSession:
        """A new session; `close` is called when nobody is served from `fd` any more."""
        old = self._sessions.get(swarm.blob)
        if old is not None:
            self.end(old)
        digest = swarm.blob
        session = SwarmSession(
            swarm,
            next(self._channels),
            fd,
            sink,
            lambda node, index, reason: self._ban(digest, node, index, reason),
            self._on_change,
        )
        self._sessions[digest] = session
        self._by_channel[session.channel] = session
        self._closers[digest] = close
        return session

    def end(self, session: SwarmSession) -> None:
        if self._sessions.get(session.digest) is not session:
            return
        del self._sessions[session.digest]
        del self._by_channel[session.channel]
        for channels in self._remote.values():
            for channel in [channel for channel, other in channels.items() if other is session]:
                del channels[channel]
        session.close()
        self._closers.pop(session.digest)()

    def meet(self, session: SwarmSession, peers: Iterable[PeerAddress]) -> None:
        """Neighbours that the tracker named: greet those linked already, dial the others."""
        for peer in peers:
            session.candidates[peer.node] = peer.address
        for node, address in list(session.candidates.items()):
            if node in session.neighbours:
                continue
            link = self.links.get(node)
            if link is not None:
                self._greet(session, link)
            elif len(session.neighbours) < self._neighbours:
                self.links.dial(node, address)

    # ---- LinkHandler

    def on_message(self, link: PeerLink, message: wire.Message) -> None:
        if link not in self._remote:
            return  # replaced by another link with the same node, and about to end
        match message:
            case wire.Interest():
                self._on_interest(link, message)
            case wire.Reject(index=None):
                self._on_refused(link, message)
            case wire.Leave():
                session = self._remote.get(link, {}).pop(message.channel, None)
                if session is not None:
                    self._greeted[link].discard(session.channel)
                    session.on_leave(link.node)
            case wire.Peers():
                self._on_peers(link, message)
            case wire.Hello() | wire.Chunk() | wire.Ping() | wire.Bye():
                raise PeerError(f"{type(message).__name__} is out of place")
            case _:
                session = self._remote.get(link, {}).get(message.channel)
                if session is not None:
                    session.on_message(link.node, message)

    def on_chunk(self, link: PeerLink, channel: int, index: int, data: bytearray) -> None:
        session = self._remote.get(link, {}).get(channel)
        if session is not None:
            session.on_chunk(link.node, index, data)

    def on_sent(self, link: PeerLink, channel: int, index: int) -> None:
        session = self._by_channel.get(channel)
        if session is not None:
            session.on_sent(link.node, index)

    # ---- inside

    def _on_link_up(self, link: PeerLink) -> None:
        self._remote[link] = {}
        self._greeted[link] = set()
        for session in self._sessions.values():
            if link.node in session.candidates:
                self._greet(session, link)

    def _on_link_down(self, link: PeerLink) -> None:
        self._greeted.pop(link, None)
        for session in set(self._remote.pop(link, {}).values()):
            session.on_leave(link.node)

    def _greet(self, session: SwarmSession, link: PeerLink) -> None:
        greeted = self._greeted.get(link)
        if greeted is not None and session.channel not in greeted:
            greeted.add(session.channel)
            session.greet(link)

    def _on_interest(self, link: PeerLink, message: wire.Interest) -> None:
        session = self._sessions.get(message.digest) or self._seed(message.digest)
        if session is None:
            self._on_unknown(message.digest)
            link.send(wire.Reject(message.channel, None, "unknown"))
        elif session.swarm.chunks.size != message.size:
            link.send(wire.Reject(message.channel, None, f"the blob has {session.swarm.chunks.size} bytes"))
        else:
            self._remote[link][message.channel] = session
            self._greet(
                session, link
            )  # first: without it, the offers that come next would mean nothing there
            try:
                session.on_interest(link, message)
            except ValueError as error:
                raise PeerError(f"INTEREST names {error}") from None

    def _seed(self, digest: Digest) -> SwarmSession | None:
        content = self._open_seed(digest)
        return None if content is None else self.begin(content.swarm, content.fd, None, content.close)

    def _on_refused(self, link: PeerLink, message: wire.Reject) -> None:
        """It takes no part in a swarm that we greeted it about. (In REJECT of an INTEREST the channel is ours.)"""
        session = self._by_channel.get(message.channel)
        if session is not None:
            session.candidates.pop(link.node, None)
            self._greeted[link].discard(session.channel)

    def _on_peers(self, link: PeerLink, message: wire.Peers) -> None:
        session = self._remote.get(link, {}).get(message.channel)
        if (
            session is not None
            and not session.swarm.is_complete
            and len(session.neighbours) < self._neighbours
        ):
            known = message.known[:_GOSSIP_PEERS]
            self.meet(session, [PeerAddress(peer.node, peer.address, False) for peer in known])

    def _ban(self, digest: Digest, node: NodeId, index: int | None, reason: str) -> None:
        self._on_ban(digest, node, index, reason)
        self.links.ban(node, reason)

    def _on_change(self, session: SwarmSession) -> None:
        if session.timer_at < self._timer.deadline:
            self._timer.deadline = session.timer_at

    async def _run_timers(self) -> None:
        while True:
            now = trio.current_time()
            for session in list(self._sessions.values()):
                if session.timer_at <= now:
                    session.on_timer()
            due = min((session.timer_at for session in self._sessions.values()), default=float("inf"))
            with trio.CancelScope(deadline=max(due, now + 0.001)) as self._timer:
                await trio.sleep_forever()

    async def _run_housekeeping(self) -> None:
        while True:
            await trio.sleep(_SWEEP_SECONDS)
            for session in list(self._sessions.values()):
                idle = (
                    not session.neighbours and trio.current_time() - session.idle_since > _IDLE_SEED_SECONDS
                )
                if session.swarm.is_complete and idle:
                    self.end(session)
            for session in self._sessions.values():
                self._gossip(session)

    def _gossip(self, session: SwarmSession) -> None:
        """Tell neighbours of each other, so that a swarm holds together while the tracker is away."""
        known = [
            wire.KnownPeer(node, session.candidates[node])
            for node in list(session.neighbours)[:_GOSSIP_PEERS]
            if node in session.candidates
        ]
        if known:
            for node, link in session.neighbours.items():
                link.send(wire.Peers(session.channel, tuple(peer for peer in known if peer.node != node)))
