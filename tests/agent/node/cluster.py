"""A cluster in one process for tests: a tracker, an upstream, and nodes on loopback, all real but for the registry."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import trio

from agent.content.reference import Reference
from agent.http.listeners import bound_port, open_listeners
from agent.node.node import Node, open_node
from agent.node.pull_progress import PullProgress
from agent.origin.client import Timeouts
from agent.origin.origin import OriginOptions
from agent.origin.retry import RetryPolicy
from agent.settings.address import TcpAddress
from agent.settings.field import Machine
from agent.settings.parser import parse_settings
from agent.settings.settings import Settings
from agent.telemetry.metrics import Metrics
from agent.telemetry.tracker_metrics import TrackerMetrics
from tests.fakes.upstream import FakeUpstream
from tracker.server import new_tracker, run_tracker

REGISTRY = "registry.example"
IMPATIENT = OriginOptions(
    timeouts=Timeouts(connect_seconds=1.0, answer_seconds=0.5, stall_seconds=0.5),
    retries=RetryPolicy(attempts=3, first_wait_seconds=0.01, max_wait_seconds=0.05),
)


def node_settings(data_dir: Path, upstream_url: str, tracker_url: str, **more: str) -> Settings:
    flags = {
        "node.data_dir": str(data_dir),
        "node.name": data_dir.name,
        "peer.listen": "127.0.0.1:0",
        "proxy.listen": "127.0.0.1:0",
        "tracker.url": tracker_url,
        "tracker.listen": "127.0.0.1:0",
        "store.floor_free": "0",
        "admin.socket": "/tmp/not-opened-by-these-tests.sock",  # pytest's paths may be too long for one
        "upstreams": f"{REGISTRY}={upstream_url}",
    }
    flags |= {key.replace("__", "."): value for key, value in more.items()}
    return parse_settings({}, {}, flags, Machine("test", is_root=False, home=data_dir))


@dataclass
class Cluster:
    """`nodes` in the order of their names; `tracker_url` may be pointed at by more of them."""

    upstream: FakeUpstream
    tracker_url: str
    root: Path
    nodes: list[Node] = field(default_factory=list)

    @asynccontextmanager
    async def open_node(self, name: str, **more: str) -> AsyncIterator[Node]:
        settings = node_settings(self.root / name, self.upstream.url, self.tracker_url, **more)
        async with open_node(settings, Metrics([REGISTRY]), patience=IMPATIENT) as node:
            yield node


@asynccontextmanager
async def open_tracker(port: int = 0) -> AsyncIterator[str]:
    """A tracker on loopback; its URL."""
    listeners = await open_listeners(TcpAddress("127.0.0.1", port))
    async with trio.open_nursery() as nursery:
        url = f"http://127.0.0.1:{bound_port(listeners[0])}"
        await nursery.start(run_tracker, listeners, new_tracker("default"), TrackerMetrics())
        yield url
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def open_cluster(upstream: FakeUpstream, root: Path, count: int, **more: str) -> AsyncIterator[Cluster]:
    async with AsyncExitStack() as stack:
        cluster = Cluster(upstream, await stack.enter_async_context(open_tracker()), root)
        for number in range(count):
            cluster.nodes.append(await stack.enter_async_context(cluster.open_node(f"node{number}", **more)))
        yield cluster


async def pull(node: Node, image: str) -> PullProgress:
    """`image`: NAME[:TAG] on the upstream."""
    return await node.puller.pull(Reference.parse(f"{REGISTRY}/{image}"), None, lambda progress: None)


async def pull_everywhere(nodes: list[Node], image: str) -> None:
    async with trio.open_nursery() as nursery:
        for node in nodes:
            nursery.start_soon(pull, node, image)
