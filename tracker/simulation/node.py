"""`Node`: a machine of the simulated cluster: its lines, its downloads, its links, its temper, its lives."""

import random
from typing import TYPE_CHECKING

from agent.content.chunk_set import ChunkSet
from agent.content.digest import Digest
from agent.swarm.actions import Ban
from agent.wire.node_id import NodeId
from agent.wire.tracker_calls import Suspicion
from tracker.simulation.blob import Blob
from tracker.simulation.download import Download
from tracker.simulation.flows import Port
from tracker.simulation.session import Session

if TYPE_CHECKING:
    from tracker.simulation.clock import Clock
    from tracker.simulation.cluster import Cluster

_DIAL_LATENCIES = 3.0  # SYN and back, HELLO; INTEREST comes after
_DIAL_SECONDS = 1.0
_REDIAL_SECONDS = 5.0
_MAX_LINKS = 256
_LOOK_SECONDS = 2.0
_LOOK_WITHOUT_TRACKER_SECONDS = 0.5
_GOSSIP_SECONDS = 10.0
_GOSSIP_PEERS = 16


class Node:
    """number: its place in the cluster. life: how often it was started. is_false: what it sends is wrong."""

    def __init__(self, cluster: "Cluster", number: int, zone: str, up: float, down: float) -> None:
        self.cluster = cluster
        self.clock: Clock = cluster.clock
        self.number = number
        self.id = NodeId((number + 1).to_bytes(32, "big"))
        self.name = f"node-{number}"
        self.address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}:5051"
        self.zone = zone
        self.rng = random.Random(cluster.rng.getrandbits(64))
        self.up = Port(up)
        self.down = Port(down)
        self.is_false = False
        self.is_boastful = False
        self.is_mute = False
        self.is_full = False
        self.alive = False
        self.life = 0
        self.started_at = 0.0
        self.whole_at: float | None = None
        self.downloads: dict[Digest, Download] = {}
        self.banned: set[NodeId] = set()
        self.frames_sent = 0
        self.tells = 0
        self.rejections = 0
        self.chunks_held = 0
        self._known: set[NodeId] = set()
        self._dialling: set[tuple[Digest, NodeId]] = set()
        self._unreachable: dict[NodeId, float] = {}
        self.session = Session(self)

    @property
    def is_hostile(self) -> bool:
        return self.is_false or self.is_boastful or self.is_mute

    @property
    def is_whole(self) -> bool:
        return bool(self.downloads) and all(
            download.whole_at is not None for download in self.downloads.values()
        )

    # ---- lives

    def start(self, blobs: tuple[Blob, ...]) -> None:
        """Starts, or comes back with the chunks that it had."""
        self.alive = True
        self.life += 1
        if self.life == 1:
            self.started_at = self.clock.now
        self.session = Session(self)
        old = self.downloads
        self.downloads = {}
        for blob in blobs:
            have = old[blob.digest].swarm.have if blob.digest in old else ChunkSet()
            if self.is_boastful:
                have = ChunkSet.full(blob.chunks.count)
            self.downloads[blob.digest] = Download(self, blob, have)
        self.session.wake()
        self.clock.after(self._look_seconds, self._look, self.life)
        if self.cluster.scenario.hardship.tracker_off is not None:
            self.clock.after(_GOSSIP_SECONDS * self.rng.random(), self._gossip, self.life)

    def die(self) -> None:
        """Killed: its connections are reset."""
        self.alive = False
        for download in self.downloads.values():
            download.close()
        self._known.clear()
        self._dialling.clear()

    def fill_disk(self) -> None:
        self.is_full = True

    def on_unwritten(self) -> None:
        """Its disk is full: what it pulls fails, and it takes no part any more."""
        if self.alive and self.whole_at is None:
            self.cluster.on_node_failed(self)
            self.die()

    def part(self, others: "list[Node]") -> None:
        """It reaches none of them for now: links break."""
        for other in others:
            self._known.discard(other.id)
            other._known.discard(self.id)
            for download in self.downloads.values():
                link = download.neighbours.get(other.id)
                if link is not None:
                    link.cut()

    def on_whole(self) -> None:
        if self.whole_at is None and self.is_whole and not self.is_boastful:
            self.whole_at = self.clock.now
            self.cluster.on_node_whole(self)
        self.session.wake()

    # ---- links

    def dial(self, download: Download, peer: NodeId) -> None:
        """Takes part in the swarm with `peer`: greets it where they are linked, else dials it."""
        key = (download.blob.digest, peer)
        known = peer in self._known
        if key in self._dialling or peer in self.banned or peer == self.id:
            return
        if self._unreachable.get(peer, 0.0) > self.clock.now or len(self._known) >= _MAX_LINKS:
            return
        other = self.cluster.nodes[peer]
        self._dialling.add(key)
        if not other.alive:
            self._unreachable[peer] = self.clock.now + _DIAL_SECONDS + _REDIAL_SECONDS
            self.clock.after(_DIAL_SECONDS, self._dialling.discard, key)
            return
        latency = self.cluster.latency(self, other)
        self.clock.after(0.0 if known else _DIAL_LATENCIES * latency, self._link, download, other, self.life)

    def _link(self, download: Download, other: "Node", life: int) -> None:
        digest = download.blob.digest
        self._dialling.discard((digest, other.id))
        if life != self.life or not self.alive or not other.alive or self.id in other.banned:
            return
        theirs = other.downloads.get(digest)
        if theirs is None or other.id in download.neighbours or self.id in theirs.neighbours:
            return
        if self.cluster.is_blocked(self, other):
            self._unreachable[other.id] = self.clock.now + _REDIAL_SECONDS
            return
        self._known.add(other.id)
        other._known.add(self.id)
        link = self.cluster.new_link(download, theirs)
        link.is_greeted_by(download)
        download.greet(link)

    def on_ban(self, digest: Digest, ban: Ban) -> None:
        self.cluster.bans += 1
        self.session.suspect(digest, Suspicion(ban.node, ban.index, ban.reason))
        self.shun(ban.node)

    def shun(self, peer: NodeId) -> None:
        self.banned.add(peer)
        self._known.discard(peer)
        for download in self.downloads.values():
            link = download.neighbours.get(peer)
            if link is not None:
                link.cut()

    # ---- now and then

    @property
    def _look_seconds(self) -> float:
        no_tracker = self.cluster.scenario.hardship.tracker_off is not None
        return _LOOK_WITHOUT_TRACKER_SECONDS if no_tracker else _LOOK_SECONDS

    def _look(self, life: int) -> None:
        if life != self.life or not self.alive or self.is_whole:
            return
        now = self.clock.now
        for download in self.downloads.values():
            if download.whole_at is not None:
                continue
            if download.reads.alone_at() <= now:
                download.reads.start_alone()
            if self.cluster.scenario.in_order:
                download.perform(download.swarm.on_starving(download.swarm.have.first_missing(), now))
        self.clock.after(self._look_seconds, self._look, life)

    def _gossip(self, life: int) -> None:
        """Neighbours are told of each other, so that a swarm holds together while the tracker is away."""
        if life != self.life or not self.alive:
            return
        for download in self.downloads.values():
            known = list(download.neighbours)[:_GOSSIP_PEERS]
            for link in list(download.neighbours.values()):
                other = link.other(download)
                self.frames_sent += 1
                if other.whole_at is None and len(other.neighbours) < other.neighbours_sought:
                    for peer in known:
                        if peer not in other.neighbours:
                            other.node.dial(other, peer)
        self.clock.after(_GOSSIP_SECONDS, self._gossip, life)
