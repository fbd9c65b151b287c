"""`open_node`: one node, composed: store, origin, tracker session, swarm hub, shared downloads, images.

Nesting is dependency order; its reverse is the order of shutdown.
"""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio

from agent.content.chunk_map import ChunkMap
from agent.content.chunk_set import ChunkSet
from agent.content.digest import Digest
from agent.content.errors import ShoalError
from agent.http.listeners import bound_port, listen_failure
from agent.node.blobs import Blobs
from agent.node.cluster_names import ClusterNames
from agent.node.copies import CopyFetcher, CopyRules
from agent.node.hop import Hop, Hops
from agent.node.hub import SeedContent, SwarmHub
from agent.node.identity import load_node_key
from agent.node.images import Images
from agent.node.in_flight import InFlight
from agent.node.layout_publishing import publish_layout
from agent.node.links import LinkRules
from agent.node.local_names import LocalNames
from agent.node.manifest_pushes import ManifestPushes
from agent.node.pull import Puller
from agent.node.push_through import PushThrough
from agent.node.rate_limit import RateLimit
from agent.node.services import Services
from agent.node.store_limits import store_limits
from agent.node.tags import Tags
from agent.node.tracker_client import TrackerClient
from agent.node.tracker_session import Identity, TrackerSession
from agent.node.traffic import Traffic
from agent.node.uploading import Uploading
from agent.origin.credentials import CredentialStore
from agent.origin.origin import Origin, OriginOptions, open_origin
from agent.origin.upstream import Upstream
from agent.settings.address import TcpAddress, parse_tcp_address
from agent.settings.settings import Settings
from agent.store.store import Store
from agent.swarm.policy import SwarmPolicy
from agent.swarm.swarm import Swarm
from agent.telemetry.logs import get_log
from agent.telemetry.metrics import Metrics
from agent.wire.node_id import NodeId, short
from agent.wire.tracker_calls import Suspicion, SwarmReport
from agent.wire.vouch import NodeKey

_log = get_log("shoal.node")


@dataclass(frozen=True, slots=True)
class Node:
    """What a running node offers to those who mount something on it."""

    settings: Settings
    key: NodeKey
    peer_address: str
    store: Store
    origin: Origin
    hub: SwarmHub
    tracker: TrackerSession
    blobs: Blobs
    images: Images
    puller: Puller
    names: ClusterNames
    local_names: LocalNames
    uploading: Uploading
    manifest_pushes: ManifestPushes
    copies: CopyFetcher
    push_through: PushThrough
    metrics: Metrics
    traffic: Traffic
    in_flight: InFlight
    started_at: float


@asynccontextmanager
async def open_node(
    settings: Settings, metrics: Metrics, hop: Hop | None = None, patience: OriginOptions | None = None
) -> AsyncIterator[Node]:
    """A node that serves its peers and talks to its tracker until the block ends. Raises ShoalError at the start.

    `patience`: with registries, other than usual.
    """
    data_dir, cluster = settings.node.data_dir, settings.security.cluster
    key = load_node_key(data_dir, cluster)
    limits = store_limits(settings)
    hops = Hops.of_threads() if hop is None else Hops(hop, hop, hop)
    with Store(data_dir / "store", limits) as store:
        credentials = CredentialStore.of_machine(settings.credentials.docker_config)
        async with open_origin(_upstreams(settings), credentials, patience) as origin:
            listeners = await _listen(settings)
            address = _advertised(settings, listeners)
            parts = _Parts(settings, key, store, origin, credentials, patience, metrics, hops, address)
            node = parts.node
            async with trio.open_nursery() as services:
                await services.start(node.hub.run, listeners)
                services.start_soon(node.tracker.run)
                services.start_soon(node.names.run)
                services.start_soon(node.names.run_reviews)
                services.start_soon(publish_layout, store, hops.other)
                services.start_soon(node.local_names.run)
                services.start_soon(node.push_through.run)
                services.start_soon(node.traffic.run)
                async with trio.open_nursery() as downloads:
                    await downloads.start(node.blobs.run)
                    downloads.start_soon(node.copies.run)
                    _log.info("node up", name=settings.node.name, node=short(key.node), peers=address)
                    yield node
                    downloads.cancel_scope.cancel()
                services.cancel_scope.cancel()


class _Parts:
    """Wires the parts of a node with each other."""

    def __init__(
        self,
        settings: Settings,
        key: NodeKey,
        store: Store,
        origin: Origin,
        credentials: CredentialStore,
        patience: OriginOptions | None,
        metrics: Metrics,
        hops: Hops,
        address: str,
    ) -> None:
        self._settings, self._store, self._key, self._metrics = settings, store, key, metrics
        self._rng, self._hops, self._address = random.Random(), hops, address
        self._cluster = settings.security.cluster
        self._policy = SwarmPolicy(uploads=settings.peer.upload_slots, downloads=settings.peer.download_slots)
        self._client = TrackerClient(settings.tracker.url) if settings.tracker.url else None
        self._tracker = TrackerSession(
            self._client,
            Identity(
                self._cluster, key.node, settings.node.name, address, settings.node.zone, settings.node.rack
            ),
            store.complete_digests,
            self._on_banned,
            metrics,
            self._rng,
        )
        services = self._services(origin)
        self._hub = services.hub
        self.node = self._compose(services, credentials, patience)
        metrics.page.refresh_with(self._refresh_gauges)

    def _services(self, origin: Origin) -> Services:
        """With the swarm's hub: what every transfer works with."""
        peer, traffic = self._settings.peer, Traffic(self._metrics)
        upload_rate, download_rate = RateLimit(peer.upload_rate), RateLimit(peer.download_rate)
        in_flight = InFlight(peer.in_flight_bytes)
        rules = LinkRules(
            self._cluster,
            self._key,
            parse_tcp_address(self._address),
            upload_rate,
            download_rate,
            traffic,
            self._metrics,
        )
        hub = SwarmHub(
            rules,
            self._settings.node.zone,
            peer.neighbours,
            in_flight.transfers,
            self._open_seed,
            self._on_ban,
            self._on_unknown,
        )
        return Services(
            store=self._store,
            origin=origin,
            hub=hub,
            tracker=self._tracker,
            notary=self._key,
            metrics=self._metrics,
            traffic=traffic,
            hops=self._hops,
            rng=self._rng,
            neighbours=peer.neighbours,
            download_rate=download_rate,
            in_flight=in_flight,
            policy=self._policy,
        )

    def _compose(
        self, services: Services, credentials: CredentialStore, patience: OriginOptions | None
    ) -> Node:
        settings, store, client, hop = self._settings, self._store, self._client, self._hops.other
        cluster, own, metrics, tracker = self._cluster, self._key.node, self._metrics, self._tracker
        push = settings.push
        blobs = Blobs(services, settings.store.linger)
        tags = Tags(store, services.origin, client, cluster, own, settings.tag_rule_for, metrics, hop)
        names = ClusterNames(store, client, cluster, own, hop)
        local_names = LocalNames(store, names, tracker, hop)
        images = Images(store, blobs, tags, names, local_names, hop)
        copy_rules = CopyRules(
            store, client, tracker, cluster, own, services.hub.offer, push.replicas, push.replica_timeout
        )
        copies = CopyFetcher(store, images, blobs)
        push_through = PushThrough(store, names, settings, credentials, hop, metrics, self._rng, patience)
        tracker.on_told_all, tracker.on_fetch = names.tell_all_soon, copies.on_orders
        names.on_kept, names.on_published = push_through.on_kept, push_through.wake
        return Node(
            settings=settings,
            key=self._key,
            peer_address=self._address,
            store=store,
            origin=services.origin,
            hub=services.hub,
            tracker=tracker,
            blobs=blobs,
            images=images,
            puller=Puller(store, images, blobs),
            names=names,
            local_names=local_names,
            uploading=Uploading(store, tracker, hop),
            manifest_pushes=ManifestPushes(store, blobs, names, tracker, copy_rules, hop),
            copies=copies,
            push_through=push_through,
            metrics=metrics,
            traffic=services.traffic,
            in_flight=services.in_flight,
            started_at=trio.current_time(),
        )

    def _refresh_gauges(self) -> None:
        usage = self._store.usage()
        self._metrics.set_swarms(len(self._hub.links.all), len(self._hub.sessions))
        states = [one.state for one in self.node.push_through.status()]
        self._metrics.set_push_through(
            {state: states.count(state) for state in ("waiting", "pushing", "failed")}
        )
        self._metrics.set_store(usage.blob_bytes, usage.partial_bytes, usage.free_bytes, usage.quota_bytes)

    async def _open_seed(self, digest: Digest) -> SeedContent | None:
        """A blob that is whole here, with a descriptor of its own."""
        blob = None
        try:
            blob = self._store.open_blob(digest)
            # Of what was not downloaded here no chunk digests are known: the blob is read for them.
            digests = None if blob is None else await self._hops.other(self._store.chunk_digests, digest)
        except BaseException as error:
            if blob is not None:
                blob.close()
            if not isinstance(error, ShoalError):
                raise
            _log.warning("blob cannot be seeded", digest=digest, reason=str(error))
            return None
        if blob is None:
            return None
        if digests is None:
            blob.close()
            return None
        chunks = ChunkMap.of(blob.size)
        swarm = Swarm(digest, chunks, ChunkSet.full(chunks.count), self._key, self._rng, self._policy)
        swarm.on_whole(digests)
        return SeedContent(swarm, blob.fd, blob.close)

    def _on_ban(self, digest: Digest, node: NodeId, index: int, reason: str) -> None:
        if not self._hub.links.is_banned(node):
            self._metrics.count_peer_ban()
        self._tracker.suspect(digest, Suspicion(node, index, reason))

    def _on_banned(self, node: NodeId) -> None:
        if node != self._key.node and not self._hub.links.is_banned(node):
            self._metrics.count_peer_ban()
            self._hub.links.ban(node, "the tracker says so")

    def _on_unknown(self, digest: Digest) -> None:
        """Somebody was sent here for a blob that is not here (evicted): the tracker should know."""
        self._tracker.tell(SwarmReport(digest, None, left=True))


def _upstreams(settings: Settings) -> list[Upstream]:
    return [
        Upstream(one.registry, one.url, one.ca_file, one.allow_private_redirects)
        for one in settings.upstreams
    ]


async def _listen(settings: Settings) -> list[trio.SocketListener]:
    listen = settings.peer.listen
    try:
        return list(await trio.open_tcp_listeners(listen.port, host=listen.host))
    except OSError as error:
        raise listen_failure(listen, error) from None


def _advertised(settings: Settings, listeners: list[trio.SocketListener]) -> str:
    """Where the others reach this node; a port of 0 is the one that was bound."""
    advertise = settings.peer.advertise
    return str(TcpAddress(advertise.host, advertise.port or bound_port(listeners[0])))
