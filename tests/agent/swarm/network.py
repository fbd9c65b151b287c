"""A cluster in memory: real `Swarm` machines, joined by a heap of timed messages. Deterministic, given a seed.

Control frames take `latency` and keep their order on a link. Chunk bytes go out of a node in quanta, round robin over
its transfers, at its uplink's rate, and come in through the receiver's downlink. Content is its BLAKE3-256 alone: what
a node "has on disk" is a digest a chunk, so wrong bytes are a wrong digest. `Registry` feeds leases in turn, at its own
rate.

The caller's duties towards a Swarm are done here as a daemon does them: checks before on_verified, 3 seconds without a
byte end a link, a Ban ends it for good, the whole is checked in the end.
"""

import heapq
import random
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from agent.content.chunk_map import ChunkMap
from agent.content.chunk_set import ChunkSet
from agent.content.digest import Digest
from agent.swarm import actions
from agent.swarm.policy import SwarmPolicy
from agent.swarm.swarm import Swarm
from agent.wire.node_id import NodeId
from agent.wire.vouch import Vouch

BLOB = Digest("sha256", "ab" * 32)
SILENCE_SECONDS = 3.0
CHECK_SECONDS = 0.001
_QUANTA = 2


def node_id(number: int) -> NodeId:
    return NodeId(number.to_bytes(32, "big"))


def truth(index: int) -> bytes:
    """The right BLAKE3-256 of a chunk, as far as this cluster goes."""
    return index.to_bytes(32, "big")


def falsehood(index: int) -> bytes:
    return b"\xff" + index.to_bytes(31, "big")


class PlainNotary:
    """Signs without cryptography: a signature is the node's id, twice."""

    def __init__(self, node: NodeId) -> None:
        self._node = node

    def vouch(self, blob: Digest, size: int, index: int, chunk: bytes) -> Vouch:
        return Vouch(chunk, self._node, self._node * 2)

    def is_valid(self, vouch: Vouch, blob: Digest, size: int, index: int) -> bool:
        return vouch.signature == vouch.node * 2


@dataclass(frozen=True, slots=True)
class Temper:
    """How a node behaves. up, down: bytes a second. corrupts: sends wrong bytes. mute: accepts requests and never
    sends. loses_offers: how many of the first offers to it get lost."""

    up: float = 10e6
    down: float = 10e6
    corrupts: bool = False
    mute: bool = False
    loses_offers: int = 0


@dataclass(slots=True)
class _Transfer:
    """An upload under way: bytes left to send, and the digest that stands for them."""

    to: "Node"
    index: int
    left: float
    content: bytes
    cancelled: bool = False


@dataclass(slots=True)
class _Expected:
    digest: bytes
    heard_at: float


@dataclass(slots=True, eq=False)
class Node:
    """A machine, its links, its rates, and what it has on disk."""

    network: "Network"
    id: NodeId
    swarm: Swarm
    temper: Temper
    content: dict[int, bytes]
    links: dict[NodeId, int] = field(default_factory=dict)
    banned: set[NodeId] = field(default_factory=set)
    expected: dict[tuple[NodeId, int], _Expected] = field(default_factory=dict)
    uploads: deque[_Transfer] = field(default_factory=deque)
    sending: bool = False
    down_free_at: float = 0.0
    timer_at: float = float("inf")
    gone: bool = False
    lies: bool = False
    whole_at: float | None = None
    requests: Counter[int] = field(default_factory=Counter)
    most_uploads: int = 0
    offers_lost: int = 0
    mismatches: int = 0

    # ---- performing what the machine asks for

    def perform(self, todo: Iterable[actions.Action]) -> None:
        for action in todo:
            self._perform(action)
        if self.network.check is not None:
            self.network.check(self)
        self._arm_timer()
        self._conclude()

    def _perform(self, action: actions.Action) -> None:
        network = self.network
        match action:
            case actions.Offer(peer, index, vouch):
                network.post(self, peer, lambda node, now: node.on_offer(self.id, index, vouch, now))
            case actions.Request(peer, index, digest):
                self.requests[index] += 1
                self.expected[peer, index] = _Expected(digest, network.now)
                network.at(network.now + SILENCE_SECONDS, lambda: self._on_silence(peer, index))
                network.post(
                    self, peer, lambda node, now: node.event(node.swarm.on_request(self.id, index, now))
                )
            case actions.Reject(peer, index, reason):
                if reason == "gone":
                    self._drop_upload(peer, index)
                network.post(self, peer, lambda node, now: node.on_reject(self.id, index, reason, now))
            case actions.Send(peer, index):
                self._send(peer, index)
            case actions.Cancel(peer, index):
                self.expected.pop((peer, index), None)
                network.post(self, peer, lambda node, now: node.on_cancel(self.id, index, now))
            case actions.Tell():
                for peer in list(self.links):
                    network.post(self, peer, lambda node, now: node.on_tell(self.id, action, now))
            case actions.TellOne(peer, news):
                network.post(self, peer, lambda node, now: node.on_tell(self.id, news, now))
            case actions.Forget(chunks):
                for index in chunks:
                    self.content.pop(index, None)
            case actions.Ban(peer):
                self.network.bans[peer] += 1
                self.banned.add(peer)
                network.cut(self, peer)

    def event(self, todo: Iterable[actions.Action]) -> None:
        self.perform(todo)

    def greet(self, peer: NodeId) -> None:
        have, want, free = self.swarm.have, self.swarm.want, self.swarm.free
        self.network.post(
            self, peer, lambda node, now: node.event(node.swarm.on_interest(self.id, have, want, free, now))
        )

    # ---- frames

    def on_offer(self, peer: NodeId, index: int, vouch: Vouch | None, now: float) -> None:
        if self.offers_lost < self.temper.loses_offers:
            self.offers_lost += 1
        else:
            self.perform(self.swarm.on_offer(peer, index, vouch, now))

    def on_reject(self, peer: NodeId, index: int, reason: str, now: float) -> None:
        self.expected.pop((peer, index), None)
        self.perform(self.swarm.on_reject(peer, index, reason, now))

    def on_cancel(self, peer: NodeId, index: int, now: float) -> None:
        self._drop_upload(peer, index)
        self.perform(self.swarm.on_sent(peer, index, now))

    def on_tell(self, peer: NodeId, tell: actions.Tell, now: float) -> None:
        self.perform(self.swarm.on_news(peer, tell, now))

    # ---- chunk bytes

    def _send(self, peer: NodeId, index: int) -> None:
        to = self.network.nodes[peer]
        content = falsehood(index) if self.temper.corrupts else self.content[index]
        if not self.temper.mute:
            self.uploads.append(_Transfer(to, index, self.swarm.chunks.length(index), content))
            self.most_uploads = max(self.most_uploads, len(self.uploads))
            self._send_quantum()

    def _drop_upload(self, peer: NodeId, index: int) -> None:
        for transfer in self.uploads:
            if transfer.to.id == peer and transfer.index == index:
                transfer.cancelled = True

    def _send_quantum(self) -> None:
        while self.uploads and self.uploads[0].cancelled:
            self.uploads.popleft()
        if self.sending or not self.uploads or self.gone:
            return
        self.sending = True
        transfer = self.uploads[0]
        quantum = min(transfer.left, self.swarm.chunks.chunk_bytes / _QUANTA)
        transfer.left -= quantum
        self.network.bytes_sent += quantum
        self.network.at(
            self.network.now + quantum / self.temper.up, lambda: self._on_quantum(transfer, quantum)
        )

    def _on_quantum(self, transfer: _Transfer, quantum: float) -> None:
        """It has left this node's uplink."""
        self.sending = False
        self.uploads.rotate(-1)
        ended = transfer.left <= 0
        if not transfer.cancelled:
            to, network = transfer.to, self.network
            arrival = max(network.now + network.latency, to.down_free_at)
            to.down_free_at = arrival + quantum / to.temper.down
            link = self.links.get(to.id)
            network.at(to.down_free_at, lambda: to.on_bytes(self.id, link, transfer, ended))
            if ended:
                self.uploads.remove(transfer)
                self.perform(self.swarm.on_sent(to.id, transfer.index, network.now))
        self._send_quantum()

    def on_bytes(self, peer: NodeId, link: int | None, transfer: _Transfer, ended: bool) -> None:
        wanted = self.expected.get((peer, transfer.index))
        if wanted is None or self.gone or link is None or self.links.get(peer) != link:
            return
        wanted.heard_at = self.network.now
        if ended:
            del self.expected[peer, transfer.index]
            self.perform(self.swarm.on_arrived(peer, transfer.index, self.network.now))
            due = self.network.now + CHECK_SECONDS
            self.network.at(due, lambda: self._on_checked(peer, transfer, wanted.digest))

    def _on_checked(self, peer: NodeId, transfer: _Transfer, digest: bytes) -> None:
        if self.gone:
            return
        now, index = self.network.now, transfer.index
        if transfer.content != digest:
            self.perform(self.swarm.on_corrupt(peer, index, now))
        else:
            self.content.setdefault(index, transfer.content)
            self.perform(self.swarm.on_verified(index, transfer.content, peer, now))

    def _on_silence(self, peer: NodeId, index: int) -> None:
        wanted = self.expected.get((peer, index))
        if wanted is None or self.gone:
            return
        due = wanted.heard_at + SILENCE_SECONDS
        if self.network.now >= due:
            self.network.cut(self, peer)
        else:
            self.network.at(due, lambda: self._on_silence(peer, index))

    # ---- the whole, and timers

    def read(self, index: int) -> None:
        """This chunk came from the registry."""
        self.content[index] = truth(index)
        self.perform(self.swarm.on_verified(index, truth(index), None, self.network.now))

    def _conclude(self) -> None:
        if not self.swarm.is_complete or self.whole_at is not None or self.gone:
            return
        count = self.swarm.chunks.count
        if all(self.content[index] == truth(index) for index in range(count)):
            self.whole_at = self.network.now
            self.network.changed = True
            self.swarm.on_whole(truth(index) for index in range(count))
        else:
            self.mismatches += 1
            self.perform(self.swarm.on_mismatch(self.network.now))

    def _arm_timer(self) -> None:
        due = max(self.swarm.next_timer(self.network.now), self.network.now)
        if due < self.timer_at:
            self.timer_at = due
            self.network.at(due, lambda: self._on_timer(due))

    def _on_timer(self, due: float) -> None:
        if self.gone or due != self.timer_at:
            return
        self.timer_at = float("inf")
        todo = self.swarm.on_timer(self.network.now)
        after = self.swarm.next_timer(self.network.now)
        assert after > self.network.now, f"busy loop: due at {due}, and again at {after}"
        self.perform(todo)


class Network:
    """`run()` ends when everybody who is still there has the whole blob, or nothing happens any more."""

    def __init__(self, chunks: ChunkMap, seed: int = 1, latency: float = 0.001) -> None:
        self.chunks = chunks
        self.latency = latency
        self.rng = random.Random(seed)
        self.now = 0.0
        self.nodes: dict[NodeId, Node] = {}
        self.bans: Counter[NodeId] = Counter()
        self.check: Callable[[Node], None] | None = None
        self.bytes_sent = 0.0
        self.changed = True
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._sequence = 0
        self._link_number = 0

    # ---- building

    def add(
        self, temper: Temper | None = None, have: ChunkSet | None = None, policy: SwarmPolicy | None = None
    ) -> Node:
        """A node with the chunks of `have` from its own reading of the registry."""
        have = have or ChunkSet()
        identity = node_id(len(self.nodes) + 1)
        rng = random.Random(self.rng.random())
        swarm = Swarm(BLOB, self.chunks, have, PlainNotary(identity), rng, policy or SwarmPolicy())
        node = Node(self, identity, swarm, temper or Temper(), {index: truth(index) for index in have})
        for index in have:
            swarm.claims.own(index, truth(index))
        if swarm.is_complete:
            node.whole_at = 0.0
        self.nodes[identity] = node
        return node

    def add_liar(self, wrong: Iterable[int], temper: Temper | None = None) -> Node:
        """A node that claims to have everything, and vouches for wrong chunks."""
        node = self.add(temper, ChunkSet.full(self.chunks.count))
        node.lies = True
        for index in wrong:
            node.content[index] = falsehood(index)
            node.swarm.claims.own(index, falsehood(index))
        return node

    def link(self, one: Node, other: Node) -> None:
        if one is other or other.id in one.links or other.id in one.banned or one.id in other.banned:
            return
        self._link_number += 1
        one.links[other.id] = other.links[one.id] = self._link_number
        one.greet(other.id)
        other.greet(one.id)

    def mesh(self, degree: int) -> None:
        """About `degree` neighbours for everyone, by chance; one ring keeps all of them together."""
        everyone = list(self.nodes.values())
        for number, node in enumerate(everyone):
            self.link(node, everyone[number - 1])
            while len(node.links) < min(degree, len(everyone) - 1):
                self.link(node, self.rng.choice(everyone))

    # ---- what happens

    def at(self, when: float, what: Callable[[], None]) -> None:
        self._sequence += 1
        heapq.heappush(self._heap, (when, self._sequence, what))

    def post(self, sender: Node, to: NodeId, what: Callable[[Node, float], None]) -> None:
        """A control frame: delivered after the latency, unless the link has gone by then."""
        link = sender.links.get(to)
        if link is None:
            return
        receiver = self.nodes[to]

        def deliver() -> None:
            if receiver.links.get(sender.id) == link and not receiver.gone:
                what(receiver, self.now)

        self.at(self.now + self.latency, deliver)

    def cut(self, node: Node, peer: NodeId) -> None:
        """The link is gone; the other side notices after the latency."""
        link = node.links.get(peer)
        if link is None:
            return
        other = self.nodes[peer]
        self._end_link(node, peer)

        def notice() -> None:
            if other.links.get(node.id) == link:
                self._end_link(other, node.id)

        self.at(self.now + self.latency, notice)

    def leave(self, node: Node) -> None:
        """The node dies."""
        for peer in list(node.links):
            self.cut(node, peer)
        node.gone = True
        self.changed = True

    def _end_link(self, node: Node, peer: NodeId) -> None:
        del node.links[peer]
        if node.gone:
            return
        for key in [key for key in node.expected if key[0] == peer]:
            del node.expected[key]
        for transfer in node.uploads:
            transfer.cancelled |= transfer.to.id == peer
        node.perform(node.swarm.on_leave(peer, self.now))

    @property
    def present(self) -> list[Node]:
        return [node for node in self.nodes.values() if not node.gone]

    @property
    def unfinished(self) -> list[Node]:
        return [node for node in self.present if node.whole_at is None]

    def run(self, until: float = 1e4, patient: bool = False) -> float:
        """Returns the time when the last of them was done (or it stopped). patient: go on though all are done."""
        self.changed = True
        while self._heap:
            if self.changed and not patient and not self.unfinished:
                break
            self.changed = False
            when, _, what = heapq.heappop(self._heap)
            if when > until:
                break
            self.now = when
            what()
        return max((node.whole_at or self.now for node in self.present), default=self.now)


class Registry:
    """Everything, at `rate`, in leases of `run` chunks that go to `readers` in turn; a lease is one read after another.

    Where a holder died before it passed its chunks on, they are leased again when the others are through.
    """

    def __init__(self, network: Network, readers: list[Node], rate: float, run: int = 2) -> None:
        self._network = network
        self._readers = deque(readers)
        self._rate = rate
        self._run = run
        self.reads: Counter[int] = Counter()

    def start(self) -> None:
        self._lease(0)

    def _next(self, start: int) -> int | None:
        """The first chunk from `start` on, else of all, that nobody who is there has."""
        held = ChunkSet()
        for node in self._network.present:
            held |= node.swarm.have
        count = self._network.chunks.count
        return next((index for index in [*range(start, count), *range(start)] if index not in held), None)

    def _lease(self, after: int) -> None:
        self._readers = deque(node for node in self._readers if not node.gone)
        start = self._next(after)
        if start is None or not self._readers:
            return
        node = self._readers[0]
        self._readers.rotate(-1)
        stop = min(start + self._run, self._network.chunks.count)
        node.perform(node.swarm.on_reading(ChunkSet.run(start, stop), self._network.now))
        self._read(node, start, start, stop)

    def _read(self, node: Node, start: int, index: int, stop: int) -> None:
        if index == stop:
            node.perform(node.swarm.on_read_ended(ChunkSet.run(start, stop), self._network.now))
            self._lease(stop)
            return

        def done() -> None:
            if node.gone:
                self._lease(index)
                return
            self.reads[index] += 1
            node.read(index)
            self._read(node, start, index + 1, stop)

        self._network.at(self._network.now + self._network.chunks.length(index) / self._rate, done)


def fluid_bound(nodes: int, size: float, up: float, down: float, registry: float) -> float:
    """No schedule beats this (seconds, for `nodes` that all want `size` bytes)."""
    return max(size / registry, size / down, nodes * size / (registry + nodes * up))
