"""`Download`: one blob at one node: performs what the real `Swarm` asks for, and tells it what happens.

The counterpart of agent/node's session, download and download_member: frames arrive after the link's latency and in
order, chunks are flows, checks take their time; the same duties towards the Swarm, the same reports to the tracker.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from agent.content.chunk_set import ChunkSet
from agent.swarm import actions
from agent.swarm.neighbours import neighbours_sought
from agent.swarm.swarm import Swarm
from agent.wire.node_id import NodeId
from agent.wire.tracker_calls import Claim, PeerAddress, SwarmAnswer, SwarmReport
from agent.wire.vouch import Vouch
from tracker.simulation.blob import Blob, PlainNotary
from tracker.simulation.flows import Flow
from tracker.simulation.link import Link
from tracker.simulation.reads import Reads

if TYPE_CHECKING:
    from tracker.simulation.node import Node

LEASES = 2
STARVING_SECONDS = 1.0
STALL_SECONDS = 3.0
_NEVER = float("inf")


class Download:
    __slots__ = (
        "_cursor",
        "_expected",
        "_told_claims",
        "_told_have",
        "_under_way",
        "began_at",
        "blob",
        "candidates",
        "flows_in",
        "moved_at",
        "neighbours",
        "node",
        "participants",
        "peers_moved_at",
        "reads",
        "sending",
        "swarm",
        "timer_at",
        "whole_at",
    )

    def __init__(self, node: "Node", blob: Blob, have: ChunkSet) -> None:
        now = node.clock.now
        self.node = node
        self.blob = blob
        notary = PlainNotary(node.id)
        self.swarm = Swarm(blob.digest, blob.chunks, have, notary, node.rng, node.cluster.scenario.policy)
        self.neighbours: dict[NodeId, Link] = {}
        self.candidates: dict[NodeId, None] = {}
        self.sending: dict[tuple[NodeId, int], Flow] = {}
        self.flows_in: dict[Flow, None] = {}
        self.timer_at = _NEVER
        self.began_at = self.moved_at = self.peers_moved_at = now
        self.participants = 1
        self.whole_at: float | None = None
        self._expected: dict[tuple[NodeId, int], bytes] = {}
        self._told_have: int | None = None
        self._told_claims = 0
        self._cursor = 0
        self._under_way = 0.0
        self.reads = Reads(self)
        if self.swarm.is_complete:
            self.whole_at = now

    # ---- performing what the machine asks for

    def perform(self, todo: Iterable[actions.Action]) -> None:
        for action in todo:
            _PERFORM[type(action)](self, action)
        due = self.swarm.next_timer(self.node.clock.now)
        if due < self.timer_at:
            self._arm(due)
        if self.whole_at is None and self.swarm.is_complete:
            self._on_whole()

    def _arm(self, due: float) -> None:
        clock = self.node.clock
        self.timer_at = max(due, clock.now)
        clock.at(self.timer_at, self._on_timer, self.timer_at)

    def _on_timer(self, at: float) -> None:
        if at != self.timer_at or not self.node.alive:
            return
        self.timer_at = _NEVER
        now = self.node.clock.now
        due = self.swarm.next_timer(now)
        if due > now:
            if due != _NEVER:
                self._arm(due)
            return
        self.perform(self.swarm.on_timer(now))

    def _post(self, node: NodeId, deliver: Callable[..., None], *args: Any) -> None:
        """A control frame: `deliver(link, *args)` after the latency, unless the link has gone by then."""
        link = self.neighbours.get(node)
        if link is not None:
            self.node.frames_sent += 1
            self.node.clock.after(link.delay(), deliver, link, *args)

    def _offer(self, action: actions.Offer) -> None:
        link = self.neighbours.get(action.peer)
        if link is not None:
            self._post(action.peer, link.other(self).on_offer, self.node.id, action.index, action.vouch)

    def _request(self, action: actions.Request) -> None:
        link = self.neighbours.get(action.peer)
        if link is not None:
            self._expected[action.peer, action.index] = action.expected
            other = link.other(self)
            self._post(action.peer, other.on_request, self.node.id, action.index)
            if other.node.is_mute:
                self.node.clock.after(STALL_SECONDS, self._on_stalled, link, action.peer, action.index)

    def _reject(self, action: actions.Reject) -> None:
        link = self.neighbours.get(action.peer)
        if link is None:
            return
        if action.reason == "gone":
            self._stop_sending(action.peer, action.index)
        self.node.rejections += 1
        self._post(action.peer, link.other(self).on_reject, self.node.id, action.index, action.reason)

    def _send(self, action: actions.Send) -> None:
        link = self.neighbours.get(action.peer)
        if link is None or self.node.is_mute:
            return
        node, index, other = self.node, action.index, link.other(self)
        length = self.blob.chunks.length(index)
        flow = node.cluster.flows.start(
            node.up, other.node.down, length, link.rate, self._on_sent, link, action.peer, index
        )
        self.sending[action.peer, index] = flow
        other.flows_in[flow] = None

    def _cancel(self, action: actions.Cancel) -> None:
        self._expected.pop((action.peer, action.index), None)
        link = self.neighbours.get(action.peer)
        if link is not None:
            self._post(action.peer, link.other(self).on_cancel, self.node.id, action.index)

    def _tell(self, tell: actions.Tell) -> None:
        """One event for all neighbours at the same distance: they hear it at the same moment."""
        node = self.node
        node.tells += 1
        node.frames_sent += (1 + bool(tell.have)) * len(self.neighbours)
        latencies = node.cluster.latencies
        for latency in latencies:
            if len(latencies) == 1 or any(link.latency == latency for link in self.neighbours.values()):
                node.clock.after(latency, self._deliver, tell, latency)

    def _tell_one(self, action: actions.TellOne) -> None:
        link = self.neighbours.get(action.peer)
        if link is not None:
            self._post(action.peer, link.other(self).on_news, self.node.id, action.news)

    def _deliver(self, tell: actions.Tell, latency: float) -> None:
        me, now = self.node.id, self.node.clock.now
        for link in list(self.neighbours.values()):
            if link.latency == latency:
                other = link.one if link.two is self else link.two
                todo = other.swarm.on_news(me, tell, now)
                if todo:
                    other.perform(todo)

    def _forget(self, action: actions.Forget) -> None:
        """Bytes are digests here: nothing is kept that could be thrown away."""

    def _ban(self, action: actions.Ban) -> None:
        self.node.on_ban(self.blob.digest, action)

    # ---- frames

    def greet(self, link: Link) -> None:
        """INTEREST: this node takes part."""
        swarm = self.swarm
        self.node.frames_sent += 1
        self.node.clock.after(
            link.delay(), link.other(self).on_interest, link, self, swarm.have, swarm.want, swarm.free
        )

    def on_interest(self, link: Link, sender: "Download", have: ChunkSet, want: ChunkSet, free: int) -> None:
        if not link.is_open or not self.node.alive or sender.node.id in self.node.banned:
            return
        known = sender.node.id in self.neighbours
        self.neighbours[sender.node.id] = link
        if not link.is_greeted_by(self):
            self.greet(link)
        if not known:
            other_zone = "" if sender.node.zone == self.node.zone else sender.node.zone
            now = self.node.clock.now
            self.perform(self.swarm.on_interest(sender.node.id, have, want, free, now, other_zone))

    def on_offer(self, link: Link, peer: NodeId, index: int, vouch: Vouch | None) -> None:
        if link.is_open:
            self.perform(self.swarm.on_offer(peer, index, vouch, self.node.clock.now))

    def on_request(self, link: Link, peer: NodeId, index: int) -> None:
        if link.is_open:
            self.perform(self.swarm.on_request(peer, index, self.node.clock.now))

    def on_reject(self, link: Link, peer: NodeId, index: int, reason: str) -> None:
        if link.is_open:
            self._expected.pop((peer, index), None)
            self.perform(self.swarm.on_reject(peer, index, reason, self.node.clock.now))

    def on_news(self, link: Link, peer: NodeId, news: actions.Tell) -> None:
        if link.is_open:
            self.perform(self.swarm.on_news(peer, news, self.node.clock.now))

    def on_cancel(self, link: Link, peer: NodeId, index: int) -> None:
        if link.is_open:
            self._stop_sending(peer, index)
            self.perform(self.swarm.on_sent(peer, index, self.node.clock.now))

    # ---- chunk bytes

    def _stop_sending(self, peer: NodeId, index: int) -> None:
        flow = self.sending.pop((peer, index), None)
        if flow is not None:
            self.node.cluster.flows.stop(flow)
            link = self.neighbours.get(peer)
            if link is not None:
                link.other(self).flows_in.pop(flow, None)

    def _on_sent(self, link: Link, peer: NodeId, index: int) -> None:
        """The last byte has left; it is there after the latency."""
        node = self.node
        flow = self.sending.pop((peer, index))
        other = link.other(self)
        other.flows_in.pop(flow, None)
        node.cluster.on_peer_bytes(node, other.node, flow.size)
        node.clock.after(link.latency, other.on_chunk, link, node.id, index, node.is_false)
        if link.is_open:
            self.perform(self.swarm.on_sent(peer, index, node.clock.now))

    def on_chunk(self, link: Link, peer: NodeId, index: int, wrong: bool) -> None:
        if not link.is_open or self._expected.pop((peer, index), None) is None:
            return
        self.perform(self.swarm.on_arrived(peer, index, self.node.clock.now))
        seconds = self.blob.chunks.chunk_bytes / self.node.cluster.check_rate
        self.node.clock.after(seconds, self._on_checked, peer, index, wrong)

    def _on_checked(self, peer: NodeId, index: int, wrong: bool) -> None:
        if not self.node.alive:
            return
        now = self.node.clock.now
        self.moved_at = now
        if self.node.is_full:
            self.perform(self.swarm.on_unwritten(index, now))
            self.node.on_unwritten()
        elif wrong:
            self.perform(self.swarm.on_corrupt(peer, index, now))
        else:
            self.peers_moved_at = now
            self.node.cluster.on_verified(self.node, self.blob.first + index)
            self.perform(self.swarm.on_verified(index, self.blob.truth[index], peer, now))

    def on_read(self, index: int) -> None:
        """A chunk came from the registry."""
        if self.node.is_full:
            self.node.on_unwritten()
            return
        self.moved_at = self.node.clock.now
        self.node.cluster.on_verified(self.node, self.blob.first + index)
        self.perform(self.swarm.on_verified(index, self.blob.truth[index], None, self.moved_at))

    def _on_stalled(self, link: Link, peer: NodeId, index: int) -> None:
        if link.is_open and (peer, index) in self._expected:
            link.cut()

    def _on_whole(self) -> None:
        self.whole_at = self.node.clock.now
        self.swarm.on_whole(self.blob.truth)
        self.node.on_whole()

    # ---- neighbours come and go

    @property
    def neighbours_sought(self) -> int:
        return neighbours_sought(self.node.cluster.scenario.neighbours, self.participants, self.blob.chunks)

    def meet(self, peers: Iterable[PeerAddress]) -> None:
        needed = set()
        for peer in peers:
            self.candidates[peer.node] = None
            if peer.across:
                self.swarm.take_only(peer.node, peer.take_only)
                needed.add(peer.node)
        wanted = self.neighbours_sought
        for node in list(self.candidates):
            if node not in self.neighbours and (node in needed or len(self.neighbours) < wanted):
                self.node.dial(self, node)

    def on_link_down(self, link: Link) -> None:
        peer = link.other(self).node.id
        if self.neighbours.get(peer) is not link:
            return
        del self.neighbours[peer]
        for key in [key for key in self._expected if key[0] == peer]:
            del self._expected[key]
        for key in [key for key in self.sending if key[0] == peer]:
            flow = self.sending.pop(key)
            self.node.cluster.flows.stop(flow)
            link.other(self).flows_in.pop(flow, None)
        if self.node.alive:
            self.perform(self.swarm.on_leave(peer, self.node.clock.now))

    # ---- the tracker

    def report(self, full: bool) -> SwarmReport:
        now, size = self.node.clock.now, self.blob.chunks.size
        if full:
            self._told_have, self._told_claims = None, 0
        if self.whole_at is not None:
            body = self.blob.body if self.reads.done_bytes else None
            return SwarmReport(
                self.blob.digest,
                size,
                complete=True,
                body=body,
                leases=self.reads.reports(),
                claims=self._claims(),
            )
        have = self.swarm.have
        changed = have.bits != self._told_have
        self._told_have = have.bits
        throttled, self.reads.throttled_seconds = self.reads.throttled_seconds, None
        wanted = self.neighbours_sought
        return SwarmReport(
            digest=self.blob.digest,
            size=size,
            have=have.to_bytes() if changed else None,
            leases_wanted=LEASES if now >= self.reads.paused_until else 0,
            cursor=self._cursor,
            source="registry",
            leases=self.reads.reports(),
            claims=self._claims(),
            throttled_seconds=throttled,
            peers_wanted=wanted if len(self.neighbours) < wanted else 0,
            starving=self.is_starving(now),
        )

    def is_starving(self, now: float) -> bool:
        """Bytes that come of a chunk are no standstill."""
        moved = self.reads.done_bytes + self.reads.under_way_bytes(now)
        if moved > self._under_way or any(flow.moved(now) > 0 for flow in self.flows_in):
            self.moved_at = now
        self._under_way = moved
        return now - self.moved_at > STARVING_SECONDS

    def _claims(self) -> tuple[Claim, ...]:
        new = self.reads.new_claims[self._told_claims :]
        self._told_claims += len(new)
        return tuple(Claim(index, self.blob.truth[index]) for index in new)

    def on_answer(self, answer: SwarmAnswer) -> None:
        now = self.node.clock.now
        self._cursor = answer.cursor
        self.participants = answer.participants
        if answer.pause_seconds:
            self.reads.paused_until = max(self.reads.paused_until, now + answer.pause_seconds)
        for lease in answer.ended_leases:
            self.reads.end(lease)
        if self.whole_at is not None:
            return
        if answer.body is not None:
            self._take_whole()
            return
        for given in answer.leases:
            self.reads.start(given)
        if answer.claims:
            claims = [(claim.index, claim.chunk) for claim in answer.claims]
            self.perform(self.swarm.on_claims(claims, self._digest_of, now))
        self.meet(answer.peers)

    def _take_whole(self) -> None:
        for index in ChunkSet.full(self.blob.chunks.count) - self.swarm.have:
            self.node.cluster.on_verified(self.node, self.blob.first + index)
            self.perform(self.swarm.on_verified(index, self.blob.truth[index], None, self.node.clock.now))

    def _digest_of(self, index: int) -> bytes | None:
        return self.blob.truth[index] if index in self.swarm.have else None

    def close(self) -> None:
        """The node dies."""
        self.reads.end_all()
        for link in list(self.neighbours.values()):
            link.cut()


_PERFORM: dict[type, Callable[[Download, Any], None]] = {
    actions.Offer: Download._offer,
    actions.Request: Download._request,
    actions.Reject: Download._reject,
    actions.Send: Download._send,
    actions.Cancel: Download._cancel,
    actions.Tell: Download._tell,
    actions.TellOne: Download._tell_one,
    actions.Forget: Download._forget,
    actions.Ban: Download._ban,
}
