"""`CopyRules`: a push waits until as many nodes hold it as the configuration wants. `CopyFetcher`: such a copy is made.

The tracker chooses who is asked, and tells them with its answers to their announces; it counts who holds all of it.
Idle nodes announce every dozen seconds: whoever pushes offers them the manifest, which makes them call at once.
"""

from collections.abc import Awaitable, Callable, Iterable

import trio

from agent.content.digest import Digest
from agent.content.document import Descriptor
from agent.content.errors import ShoalError, TrackerError
from agent.content.reference import CLUSTER_REGISTRY, Repository
from agent.node.all_of import MAX_PARTS, all_of
from agent.node.blobs import Blobs
from agent.node.cluster_names import copy_reason
from agent.node.images import Images
from agent.node.push_errors import TooFewCopies
from agent.node.source import Source
from agent.node.tracker_client import TrackerClient
from agent.node.tracker_session import TrackerSession
from agent.store.store import Store
from agent.telemetry.logs import get_log
from agent.wire.node_id import NodeId
from agent.wire.push_calls import Replicate, ReplicateAnswer
from agent.wire.tracker_calls import FetchOrder, PeerAddress, SwarmReport

_POLL_SECONDS = 0.25
_MAX_FETCHES = 4
_MAX_WAITING = 1000

_log = get_log("shoal.push")


class CopyRules:
    def __init__(
        self,
        store: Store,
        client: TrackerClient | None,
        session: TrackerSession,
        cluster: str,
        node: NodeId,
        offer: Callable[[Digest, Iterable[PeerAddress]], Awaitable[None]],
        replicas: int,
        timeout_seconds: float,
    ) -> None:
        self._store = store
        self._client = client
        self._session = session
        self._cluster = cluster
        self._node = node
        self._offer = offer
        self._replicas = replicas
        self._timeout_seconds = timeout_seconds

    async def wait_copies(self, repository: Repository, root: Descriptor, name: str) -> None:
        """`name`: the tag that it is about to get, or its digest. Raises TooFewCopies."""
        if self._replicas < 2:
            return
        sizes = {one.digest: one.size for one in all_of(self._store, root)}
        for digest, size in sizes.items():
            self._session.tell(SwarmReport(digest, size, complete=True))
        call = Replicate(
            self._cluster,
            self._node,
            repository.name,
            name,
            root.digest,
            root.size,
            tuple(sizes)[:MAX_PARTS],
            self._replicas,
        )
        answer, offered = ReplicateAnswer(1, 1), set[NodeId]()
        reason = f"{self._timeout_seconds:.0f} s were not enough"
        with trio.move_on_after(self._timeout_seconds):
            try:
                while True:
                    answer = await self._ask(call)
                    if answer.holders >= self._replicas:
                        return
                    fresh = [peer for peer in answer.asked if peer.node not in offered]
                    if fresh:
                        offered.update(peer.node for peer in fresh)
                        await self._offer(root.digest, fresh)
                    await trio.sleep(_POLL_SECONDS)
            except TrackerError as error:
                reason = str(error)
        raise TooFewCopies(
            f"{answer.holders} of {answer.nodes} nodes hold it, push.replicas wants {self._replicas}: {reason}; it is "
            "stored on this node, its tag is as before: push again"
        )

    async def _ask(self, call: Replicate) -> ReplicateAnswer:
        if self._client is None:
            raise TrackerError("this node has no tracker")
        return await self._client.replicate(call)


class CopyFetcher:
    def __init__(self, store: Store, images: Images, blobs: Blobs) -> None:
        self._store = store
        self._images = images
        self._blobs = blobs
        self._wanted: dict[Digest, FetchOrder] = {}
        self._orders, self._arriving = trio.open_memory_channel[FetchOrder](_MAX_WAITING)

    def on_orders(self, orders: Iterable[FetchOrder]) -> None:
        for order in orders:
            if order.digest not in self._wanted:
                try:
                    self._orders.send_nowait(order)
                except trio.WouldBlock:
                    return  # it will be told again
                self._wanted[order.digest] = order

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(_MAX_FETCHES):
                nursery.start_soon(self._work)

    async def _work(self) -> None:
        while True:
            order = await self._arriving.receive()
            try:
                repository = Repository.of(CLUSTER_REGISTRY, order.repository)
                await self._fetch(repository, order.digest)
                reason = copy_reason(repository.name, order.name)
                self._store.pin(order.digest, reason, weak=":" in order.name)
                _log.info("copy made", repository=order.repository, digest=order.digest)
            except ShoalError as error:
                _log.warning("copy failed", repository=order.repository, reason=str(error))
            finally:
                del self._wanted[order.digest]

    async def _fetch(self, repository: Repository, digest: Digest) -> None:
        """All of it. Raises ShoalError."""
        _, document = await self._images.load_unchecked(repository, digest)
        for child in document.children:
            if document.is_index:
                await self._fetch(repository, child.digest)
            elif self._store.size_of(child.digest) is None:
                await self._fetch_blob(repository, child)

    async def _fetch_blob(self, repository: Repository, child: Descriptor) -> None:
        source = Source(repository, "blobs")
        async with self._blobs.open_download(child.digest, source, child.size) as download:
            await download.wait_ended()
            if download.failure is not None:
                raise download.failure
