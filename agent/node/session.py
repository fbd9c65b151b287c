"""`SwarmSession`: performs what one pure `Swarm` asks for, over the peer links: frames out, events in.

A session is a download in progress (its ContentSink takes the chunks that come) or a seed (it only offers). It
knows the links of its neighbours and both sides' channel numbers; which session a frame belongs to is the hub's
matter.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import trio

from agent.content.chunk_set import ChunkSet
from agent.content.digest import Digest
from agent.content.errors import ShoalError
from agent.node.in_flight import Budget
from agent.node.peer_link import PeerLink
from agent.swarm import actions
from agent.swarm.swarm import Swarm
from agent.wire import peer_messages as wire
from agent.wire.node_id import NodeId

_INDICES_A_FRAME = 8000
_MAX_CANDIDATES = 400  # more than there may be links


class ContentSink(Protocol):
    """Where a session's chunks go. Called from the link's task; must not block."""

    @property
    def participants(self) -> int:
        """Nodes in this swarm, as the tracker last said."""

    def on_chunk(self, sender: NodeId, index: int, data: bytearray, expected: bytes) -> None:
        """Its bytes count as in flight until the sink gives them back."""

    def on_forget(self, chunks: ChunkSet) -> None: ...

    def fail(self, error: ShoalError) -> None: ...


@dataclass(slots=True)
class _Neighbour:
    """`channel`: the number that the neighbour uses for this swarm."""

    link: PeerLink
    channel: int


class SwarmSession:
    def __init__(
        self,
        swarm: Swarm,
        channel: int,
        zone: str,
        fd: int,
        sink: ContentSink | None,
        on_ban: Callable[[NodeId, int | None, str], None],
        on_change: Callable[["SwarmSession"], None],
        transfers: Budget,
    ) -> None:
        """`zone`: this node's. `fd`: the content, readable wherever `swarm` has it. `on_change` is called after every
        event. `transfers`: what bytes of chunks may be on their way.
        """
        self.swarm = swarm
        self.channel = channel
        self._zone = zone
        self._candidates: dict[NodeId, str] = {}
        self.needed: set[NodeId] = set()  # in other zones: linked with though there are enough neighbours
        self.idle_since = trio.current_time()
        self.timer_at = float("inf")
        self.is_cramped = False  # it declined an offer for want of room
        self.sink = sink
        self._fd = fd
        self._transfers = transfers
        self._on_ban = on_ban
        self._on_change = on_change
        self._neighbours: dict[NodeId, _Neighbour] = {}
        self._expected: dict[tuple[NodeId, int], bytes] = {}

    @property
    def digest(self) -> Digest:
        return self.swarm.blob

    @property
    def participants(self) -> int:
        """Who only offers leaves it to others to seek neighbours."""
        return 1 if self.sink is None else self.sink.participants

    @property
    def neighbours(self) -> dict[NodeId, PeerLink]:
        return {node: neighbour.link for node, neighbour in self._neighbours.items()}

    @property
    def candidates(self) -> Mapping[NodeId, str]:
        """Who may be worth a link, and where; the newest last."""
        return self._candidates

    def is_removed(self) -> bool:
        """Has the file gone that is served?"""
        return bool(os.fstat(self._fd).st_nlink == 0)

    def add_candidate(self, node: NodeId, address: str) -> None:
        self._candidates.pop(node, None)
        self._candidates[node] = address
        while len(self._candidates) > _MAX_CANDIDATES:
            del self._candidates[next(iter(self._candidates))]

    def drop_candidate(self, node: NodeId) -> None:
        self._candidates.pop(node, None)

    def greet(self, link: PeerLink) -> None:
        """Tell a node that this node takes part."""
        swarm = self.swarm
        link.send(
            wire.Interest(
                self.channel,
                swarm.blob,
                swarm.chunks.size,
                swarm.have.to_bytes(),
                swarm.want.to_bytes(),
                swarm.free,
                self._zone,
            )
        )

    def close(self) -> None:
        """Leave: nobody is served from the descriptor any more."""
        for neighbour in self._neighbours.values():
            neighbour.link.drop_sending(self.channel)
            neighbour.link.send(wire.Leave(self.channel))
        for node, index in list(self._expected):
            self._unexpect(node, index)
        self._neighbours.clear()

    # ---- events

    def on_interest(self, link: PeerLink, message: wire.Interest) -> None:
        """Raises ValueError where its sets name chunks that the blob does not have."""
        count = self.swarm.chunks.count
        have, want = ChunkSet.from_bytes(message.have, count), ChunkSet.from_bytes(message.want, count)
        self._neighbours[link.node] = _Neighbour(link, message.channel)
        other_zone = "" if message.zone == self._zone else message.zone
        now = trio.current_time()
        self.perform(self.swarm.on_interest(link.node, have, want, message.free, now, other_zone))

    def on_leave(self, node: NodeId) -> None:
        neighbour = self._neighbours.get(node)
        if neighbour is None:
            return
        neighbour.link.drop_sending(self.channel)
        for index in [index for sender, index in self._expected if sender == node]:
            self._unexpect(node, index)
        del self._neighbours[node]
        if not self._neighbours:
            self.idle_since = trio.current_time()
        self.perform(self.swarm.on_leave(node, trio.current_time()))

    def on_message(self, node: NodeId, message: wire.Message) -> None:
        """A frame of this swarm from a neighbour; other kinds are none of the session's business."""
        now = trio.current_time()
        swarm, count = self.swarm, self.swarm.chunks.count
        match message:
            case wire.Have():
                self.perform(swarm.on_have(node, _within(message.chunks, count), now))
            case wire.Want():
                add, drop, urgent = (
                    _within(part, count) for part in (message.add, message.drop, message.urgent)
                )
                if message.have:
                    self.perform(swarm.on_have(node, _within(message.have, count), now))
                self.perform(swarm.on_want(node, add, drop, message.free, urgent, now))
            case wire.Offer():
                self._on_offer(node, message, now)
            case wire.Request():
                self.perform(swarm.on_request(node, message.index, now))
            case wire.Reject(index=int(index)):
                self._unexpect(node, index)
                self.perform(swarm.on_reject(node, index, message.reason, now))
            case wire.Cancel():
                neighbour = self._neighbours.get(node)
                if neighbour is not None:
                    neighbour.link.cancel_sending(self.channel, message.index)
            case _:
                pass

    def on_sent(self, node: NodeId, index: int) -> None:
        self.perform(self.swarm.on_sent(node, index, trio.current_time()))

    def on_chunk(self, node: NodeId, index: int, data: bytearray) -> None:
        expected = self._expected.pop((node, index), None)
        if expected is not None and self.sink is not None:
            self.perform(self.swarm.on_arrived(node, index, trio.current_time()))
            self.sink.on_chunk(node, index, data, expected)

    def tell_room(self) -> None:
        """There is room again for what was declined for want of it."""
        self.is_cramped = False
        if self.swarm.want:
            frame = wire.encode_frame(wire.Want(self.channel, (), (), self.swarm.free))
            for neighbour in self._neighbours.values():
                neighbour.link.send_encoded(frame)

    def on_timer(self) -> None:
        self.perform(self.swarm.on_timer(trio.current_time()))

    # ---- actions

    def perform(self, todo: list[actions.Action]) -> None:
        """Every event's actions come here, the ones that the owner gave the swarm too."""
        for action in todo:
            self._perform(action)
        self.timer_at = self.swarm.next_timer(trio.current_time())
        self._on_change(self)

    def _perform(self, action: actions.Action) -> None:
        match action:
            case actions.Tell():
                self._tell(action, list(self._neighbours))
            case actions.Offer(peer, index, vouch):
                self._send(peer, wire.Offer(self.channel, index, vouch))
            case actions.Request(peer, index, expected):
                self._request(peer, index, expected)
            case actions.Reject(peer, index, reason):
                self._send(peer, wire.Reject(self.channel, index, reason))
            case actions.Send(peer, index):
                start, stop = self.swarm.chunks.span(index)
                neighbour = self._neighbours.get(peer)
                if neighbour is not None:
                    neighbour.link.send_chunk(self.channel, index, self._fd, start, stop - start)
            case actions.Cancel(peer, index):
                self._unexpect(peer, index)
                self._send(peer, wire.Cancel(self.channel, index))
            case actions.TellOne(peer, news):
                self._tell(news, [peer])
            case actions.Forget(chunks):
                if self.sink is not None:
                    self.sink.on_forget(chunks)
            case actions.Ban(node, chunk, reason):
                self._on_ban(node, chunk, reason)

    def _send(self, node: NodeId, message: wire.Message) -> None:
        neighbour = self._neighbours.get(node)
        if neighbour is not None:
            neighbour.link.send(message)

    def _request(self, node: NodeId, index: int, expected: bytes) -> None:
        neighbour = self._neighbours.get(node)
        if neighbour is None:
            return
        length = self.swarm.chunks.length(index)
        self._transfers.take(length)
        self._expected[node, index] = expected
        neighbour.link.expect(neighbour.channel, index, length)
        neighbour.link.send(wire.Request(self.channel, index))

    def _unexpect(self, node: NodeId, index: int) -> None:
        if self._expected.pop((node, index), None) is not None:
            neighbour = self._neighbours[node]
            neighbour.link.forget(neighbour.channel, index)
            self._transfers.give_back(self.swarm.chunks.length(index))

    def _on_offer(self, node: NodeId, offer: wire.Offer, now: float) -> None:
        chunks = self.swarm.chunks
        if offer.index < chunks.count and not self._transfers.has_room(chunks.length(offer.index)):
            self.is_cramped = True
            self._send(node, wire.Reject(self.channel, offer.index, "busy"))
        else:
            self.perform(self.swarm.on_offer(node, offer.index, offer.vouch, now))

    def _tell(self, tell: actions.Tell, peers: Iterable[NodeId]) -> None:
        """Encoded once, whatever the number of peers; usually a single frame."""
        have, adds, drops = _parts(tell.have), _parts(tell.add), _parts(tell.drop)
        frames = [wire.encode_frame(wire.Have(self.channel, part)) for part in have[1:]]
        for number in range(max(len(adds), len(drops), 1)):
            add = adds[number] if number < len(adds) else ()
            drop = drops[number] if number < len(drops) else ()
            had = have[0] if have and number == 0 else ()
            want = wire.Want(self.channel, add, drop, tell.free, tuple(tell.urgent), had)
            frames.append(wire.encode_frame(want))
        encoded = b"".join(frames)
        for peer in peers:
            neighbour = self._neighbours.get(peer)
            if neighbour is not None:
                neighbour.link.send_encoded(encoded)


def _within(indices: tuple[int, ...], count: int) -> ChunkSet:
    """What a neighbour names of the chunks that there are."""
    return ChunkSet.of(index for index in indices if index < count)


def _parts(chunks: ChunkSet) -> list[tuple[int, ...]]:
    indices = tuple(chunks)
    return [indices[at : at + _INDICES_A_FRAME] for at in range(0, len(indices), _INDICES_A_FRAME)]
