"""`SwarmHub`: all swarms of this node over all its links. Frames find their session here, neighbours and sessions each
other, and timers fire.

A blob that is whole on disk needs no session until somebody is interested in it; it gets one then (opened beside the
link's task: it may have to be read), and loses it when it has had no neighbour for a while. A neighbour takes part in a
swarm by one channel, and in so many swarms at most.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from itertools import count

import trio

from agent.content.digest import Digest
from agent.content.errors import PeerError, SourceError
from agent.node.containment import contained
from agent.node.gossip import GossipPace, news_of, tell_of_each_other
from agent.node.in_flight import Budget
from agent.node.links import LinkRules, Links
from agent.node.peer_link import PeerLink
from agent.node.session import ContentSink, SwarmSession
from agent.swarm.neighbours import neighbours_sought
from agent.swarm.swarm import Swarm
from agent.telemetry.logs import get_log
from agent.wire import peer_messages as wire
from agent.wire.node_id import NodeId, short
from agent.wire.tracker_calls import PeerAddress

_IDLE_SEED_SECONDS = 60.0
_SWEEP_SECONDS = 10.0
_MAX_SWARMS_A_LINK = 1000
_MAX_SEEDS = 1000  # each has a descriptor

_log = get_log("shoal.hub")

OpenSeed = Callable[[Digest], Awaitable["SeedContent | None"]]
OnBan = Callable[[Digest, NodeId, int, str], None]


@dataclass(frozen=True, slots=True)
class SeedContent:
    """A whole blob to seed: its swarm, a descriptor, and how to close it."""

    swarm: Swarm
    fd: int
    close: Callable[[], None]


@dataclass(slots=True)
class _Side:
    """What a link is used for. channels: the neighbour's numbers of swarms that both take part in. waiting: INTERESTs
    that wait for a seed. greeted: our channels that the neighbour was told of.
    """

    channels: dict[int, SwarmSession] = field(default_factory=dict)
    waiting: dict[Digest, wire.Interest] = field(default_factory=dict)
    greeted: set[int] = field(default_factory=set)
    gossip: GossipPace = field(default_factory=GossipPace)


class SwarmHub:
    """The LinkHandler of all links. `open_seed` gives a whole blob's content where this node has it."""

    def __init__(
        self,
        rules: LinkRules,
        zone: str,
        neighbours: int,
        transfers: Budget,
        open_seed: OpenSeed,
        on_ban: OnBan,
        on_unknown: Callable[[Digest], None],
    ) -> None:
        """`zone`: this node's. `neighbours`: how many a swarm of some hundreds links with by itself. `on_unknown`:
        somebody asked for a blob that is not here.
        """
        self.links = Links(rules, self, self._on_link_up, self._on_link_down)
        self._rules = rules
        self._zone = zone
        self._neighbours = neighbours
        self._transfers = transfers
        self._open_seed = open_seed
        self._on_ban = on_ban
        self._on_unknown = on_unknown
        self._channels = count(1)
        self._sessions: dict[Digest, SwarmSession] = {}
        self._by_channel: dict[int, SwarmSession] = {}
        self._closers: dict[Digest, Callable[[], None]] = {}
        self._sides: dict[PeerLink, _Side] = {}
        self._opening: set[Digest] = set()
        self._nursery: trio.Nursery | None = None
        self._timer = trio.CancelScope()
        self._round = 0
        transfers.on_room = self._on_room

    async def run(
        self,
        listeners: list[trio.SocketListener],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            nursery.start_soon(self._run_timers)
            nursery.start_soon(self._run_housekeeping)
            try:
                await self.links.run(listeners, task_status=task_status)
            finally:
                self._nursery = None
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
            self._zone,
            fd,
            sink,
            lambda node, index, reason: self._ban(digest, node, index, reason),
            self._on_change,
            self._transfers,
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
        for side in self._sides.values():
            side.greeted.discard(session.channel)
            for channel in [channel for channel, other in side.channels.items() if other is session]:
                del side.channels[channel]
        session.close()
        self._closers.pop(session.digest)()

    def meet(self, session: SwarmSession, peers: Iterable[PeerAddress]) -> None:
        """Neighbours that the tracker named: greet those linked already, dial the others."""
        named = list(peers)
        for peer in named:
            session.add_candidate(peer.node, peer.address)
            if peer.across:
                session.swarm.take_only(peer.node, peer.take_only)
                session.needed.add(peer.node)
        neighbours, has_enough = session.neighbours, self._has_enough(session)
        for node, address in list(session.candidates.items()):
            if node in neighbours or (has_enough and node not in session.needed):
                continue
            link = self.links.get(node)
            if link is not None:
                self._greet(session, link)
            else:
                self.links.dial(node, address)

    async def offer(self, digest: Digest, peers: Iterable[PeerAddress]) -> None:
        """Greet these about a blob that is whole here. Who has not got it tells the tracker so, and hears with the
        answer what the tracker wants of it."""
        session = self._sessions.get(digest)
        if session is None and (content := await self._open_seed(digest)) is not None:
            session = self._sessions.get(digest)
            if session is not None or not self._has_room_for_seed():
                content.close()
            else:
                session = self.begin(content.swarm, content.fd, None, content.close)
        if session is not None:
            self.meet(session, peers)

    # ---- LinkHandler

    def on_message(self, link: PeerLink, message: wire.Message) -> None:
        side = self._sides.get(link)
        if side is None:
            return  # replaced by another link with the same node, and about to end
        match message:
            case wire.Interest():
                self._on_interest(link, side, message)
            case wire.Reject(index=None):
                self._on_refused(link, side, message)
            case wire.Leave():
                self._on_leave(link, side, message.channel)
            case wire.Peers():
                self._on_peers(side, message)
            case wire.Hello() | wire.Proof() | wire.Chunk() | wire.Ping() | wire.Bye():
                raise PeerError(f"{type(message).__name__} is out of place")
            case _:
                session = side.channels.get(message.channel)
                if session is not None:
                    session.on_message(link.node, message)

    def on_chunk(self, link: PeerLink, channel: int, index: int, data: bytearray) -> None:
        side = self._sides.get(link)
        session = None if side is None else side.channels.get(channel)
        if session is not None:
            session.on_chunk(link.node, index, data)

    def on_sent(self, link: PeerLink, channel: int, index: int) -> None:
        session = self._by_channel.get(channel)
        if session is not None:
            session.on_sent(link.node, index)

    # ---- links come and go

    def _on_link_up(self, link: PeerLink) -> None:
        self._sides[link] = _Side()
        for session in self._sessions.values():
            if link.node in session.needed or (
                link.node in session.candidates and not self._has_enough(session)
            ):
                self._greet(session, link)

    def _on_link_down(self, link: PeerLink) -> None:
        side = self._sides.pop(link, None)
        if side is not None:
            for session in set(side.channels.values()):
                session.on_leave(link.node)

    def _has_enough(self, session: SwarmSession) -> bool:
        """Then it seeks no more neighbours (others may still find it): news goes to each of them, most of the time in
        vain."""
        return len(session.neighbours) >= neighbours_sought(
            self._neighbours, session.participants, session.swarm.chunks
        )

    def _greet(self, session: SwarmSession, link: PeerLink) -> None:
        side = self._sides.get(link)
        if side is not None and session.channel not in side.greeted:
            side.greeted.add(session.channel)
            session.greet(link)

    # ---- who takes part in what

    def _on_interest(self, link: PeerLink, side: _Side, message: wire.Interest) -> None:
        session = self._sessions.get(message.digest)
        if session is not None:
            self._admit(link, side, session, message)
        elif len(side.channels) + len(side.waiting) >= _MAX_SWARMS_A_LINK:
            link.send(wire.Reject(message.channel, None, "too many swarms"))
        else:
            side.waiting[message.digest] = message
            if message.digest not in self._opening and self._nursery is not None:
                self._opening.add(message.digest)
                self._nursery.start_soon(self._seed, message.digest)

    async def _seed(self, digest: Digest) -> None:
        """Open a whole blob for those who are interested in it, or tell them that it is not here."""
        content = None
        try:
            with contained(self._rules.metrics, f"seeding {digest}"):
                content = await self._open_seed(digest)
        finally:
            self._opening.discard(digest)
        session = self._sessions.get(digest)  # a download may have begun meanwhile
        if content is not None and (session is not None or not self._has_room_for_seed()):
            content.close()
            content = None
        if content is not None:
            session = self.begin(content.swarm, content.fd, None, content.close)
        if session is None:
            self._on_unknown(digest)
        for link, side in list(self._sides.items()):
            message = side.waiting.pop(digest, None)
            if message is None:
                continue
            if session is None:
                link.send(wire.Reject(message.channel, None, "unknown"))
                continue
            try:
                self._admit(link, side, session, message)
            except PeerError as error:
                link.close(str(error))

    def _has_room_for_seed(self) -> bool:
        """Where there are many seeds, those that nobody is interested in make room."""
        if len(self._sessions) >= _MAX_SEEDS:
            for session in [one for one in self._sessions.values() if one.swarm.is_complete]:
                if not session.neighbours:
                    self.end(session)
        return len(self._sessions) < _MAX_SEEDS

    def _admit(self, link: PeerLink, side: _Side, session: SwarmSession, message: wire.Interest) -> None:
        """Raises PeerError."""
        size = session.swarm.chunks.size
        if size != message.size:
            link.send(wire.Reject(message.channel, None, f"the blob has {size} bytes"))
            return
        for channel, other in list(side.channels.items()):
            if (other is session) != (
                channel == message.channel
            ):  # that channel, or that swarm, is used anew
                del side.channels[channel]
                other.on_leave(link.node)
        side.channels[message.channel] = session
        self._greet(session, link)  # first: without it, the offers that come next would mean nothing there
        try:
            session.on_interest(link, message)
        except ValueError as error:
            raise PeerError(f"INTEREST names {error}") from None

    def _on_leave(self, link: PeerLink, side: _Side, channel: int) -> None:
        for digest in [digest for digest, message in side.waiting.items() if message.channel == channel]:
            del side.waiting[digest]
        session = side.channels.pop(channel, None)
        if session is not None:
            side.greeted.discard(session.channel)
            session.on_leave(link.node)

    def _on_refused(self, link: PeerLink, side: _Side, message: wire.Reject) -> None:
        """It takes no part in a swarm that we greeted it about. (In REJECT of an INTEREST the channel is ours.)"""
        session = self._by_channel.get(message.channel)
        if session is not None:
            session.drop_candidate(link.node)
            side.greeted.discard(session.channel)

    def _on_peers(self, side: _Side, message: wire.Peers) -> None:
        session = side.channels.get(message.channel)
        if session is None or session.swarm.is_complete or not side.gossip.take(trio.current_time()):
            return
        if not self._has_enough(session):
            self.meet(session, news_of(message, session, self._rules.address))

    def _ban(self, digest: Digest, node: NodeId, index: int | None, reason: str) -> None:
        """Without a chunk that shows the lie it may be the registry that sent wrong bytes, which the node passed on in
        good faith: its swarm takes nothing of it any more, and that is all.
        """
        if index is None:
            _log.warning("peer not trusted in one swarm", peer=short(node), digest=digest, reason=reason)
            return
        self._on_ban(digest, node, index, reason)
        self.links.ban(node, reason)

    # ---- time and room

    def _on_change(self, session: SwarmSession) -> None:
        if session.timer_at < self._timer.deadline:
            self._timer.deadline = session.timer_at

    def _on_room(self) -> None:
        """Chunks have left memory: who declined offers for want of room hears of it, in turn; all where it is ample."""
        cramped = [session for session in self._sessions.values() if session.is_cramped]
        is_ample = self._transfers.used_bytes <= self._transfers.limit_bytes // 2
        for session in cramped if is_ample else cramped[:1]:
            session.tell_room()

    async def _run_timers(self) -> None:
        while True:
            now = trio.current_time()
            for session in [one for one in self._sessions.values() if one.timer_at <= now]:
                with contained(self._rules.metrics, f"a timer of {session.digest}"):
                    session.timer_at = float("inf")
                    session.on_timer()
                    continue
                self._break(session)
            due = min((session.timer_at for session in self._sessions.values()), default=float("inf"))
            with trio.CancelScope(deadline=max(due, now + 0.001)) as self._timer:
                await trio.sleep_forever()

    def _break(self, session: SwarmSession) -> None:
        """A bug in one swarm."""
        if session.sink is not None:
            session.sink.fail(
                SourceError(f"the swarm of {session.digest} failed unexpectedly; the log has more")
            )
        if session.swarm.is_complete:  # a seed by now, though it may have come by a download
            self.end(session)

    async def _run_housekeeping(self) -> None:
        while True:
            await trio.sleep(_SWEEP_SECONDS)
            self._round += 1
            with contained(self._rules.metrics, "housekeeping"):
                for session in list(self._sessions.values()):
                    is_idle = trio.current_time() - session.idle_since > _IDLE_SEED_SECONDS
                    if not session.swarm.is_complete:
                        continue
                    if not session.neighbours and is_idle:
                        self.end(session)
                    elif session.is_removed():  # evicted, or found damaged, by whichever process
                        self.end(session)
                        self._on_unknown(session.digest)
                for session in self._sessions.values():
                    tell_of_each_other(session, self._round)
