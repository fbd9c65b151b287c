"""`open_shaped_cluster`: a registry behind a link of its own, a tracker, and agents, each on a host with a shaped link.

    node 1..N   tbf at the nodes' rate, each way       one agent, its data directory in memory
    registry    tbf at the registry's rate, each way   the real docker-registry
    cache       like the registry                      empty; for whoever wants to compare
    hub         not shaped                             the tracker

Data directories are in memory (/dev/shm) where that is possible: many nodes share one disk here, which in a real
cluster they do not, and it would be what is measured.
"""

import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import trio

from tests.bench.bench_node import BenchNode
from tests.bench.registry_copy import copy_of
from tests.bench.scenario import Scenario
from tests.clients.moved_clock import new_clock
from tests.clients.registry import Registry, open_registry
from tests.clients.scratch import unmount_below
from tests.clients.shoal_node import ShoalTracker, open_tracker
from tests.clients.waiting import wait_until
from tests.cluster.namespaces import Host, Namespaces, Shape, open_namespaces

_MEMORY = Path("/dev/shm")
_STARTING_AT_A_TIME = 4
_MEETING_SECONDS = 60
# A whole TSO packet fits, so that tbf need not cut it up: that alone would cost a core at 32 nodes.
_BURST_KILOBYTES = 96


def clear_up_after_sigterm() -> None:
    """As after Ctrl-C, whatever the shell that started us thinks of SIGINT."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))


@contextmanager
def open_memory() -> Iterator[Path]:
    """A directory in memory, gone afterwards; on disk where the machine has no such place."""
    directory = Path(tempfile.mkdtemp(prefix="shoal-", dir=_MEMORY if _MEMORY.is_dir() else None))
    try:
        yield directory
    finally:
        unmount_below(directory)
        shutil.rmtree(directory)


@dataclass(frozen=True, slots=True)
class Hosts:
    hub: Host
    nodes: tuple[Host, ...]
    registry: Host
    cache: Host
    all: Namespaces


@asynccontextmanager
async def open_hosts(scenario: Scenario) -> AsyncIterator[Hosts]:
    node = Shape(scenario.node_mbit, _BURST_KILOBYTES)
    strong = Shape(scenario.registry_mbit, _BURST_KILOBYTES)
    count = scenario.nodes
    async with open_namespaces(count + 2, shape=[*[node] * count, strong, strong]) as all_hosts:
        *nodes, registry, cache = all_hosts.nodes
        yield Hosts(all_hosts.hub, tuple(nodes), registry, cache, all_hosts)


@asynccontextmanager
async def open_copy(seed: Path, name: str, host: Host, **settings: str) -> AsyncIterator[Registry]:
    """A registry on `host` with the content of the one at `seed`, and a log of its own."""
    directory = copy_of(seed, name)
    async with open_registry(
        directory, host=host.address, port=5000, namespace=host.namespace, **settings
    ) as registry:
        yield registry


@dataclass(frozen=True, slots=True)
class ShapedCluster:
    hosts: Hosts
    registry: Registry
    tracker: ShoalTracker
    nodes: tuple[BenchNode, ...]
    nursery: trio.Nursery  # where the nodes run


@asynccontextmanager
async def open_shaped_cluster(
    hosts: Hosts,
    seed: Path,
    root: Path,
    upstream_url: str = "",
    clocks: bool = False,
    **settings: str,
) -> AsyncIterator[ShapedCluster]:
    """Every node is up and has told the tracker so. `seed` has what the registry serves; `upstream_url`: what the nodes
    ask instead of it. clocks: each process goes by a clock of its own. `settings`
    as for open_shoal."""
    hub = hosts.hub

    def clock(name: str) -> str | None:
        return new_clock(root / f"{name}.clock") if clocks else None

    async with (
        open_copy(seed, "swarm", hosts.registry) as registry,
        open_tracker(
            root / "tracker.log",
            host=hub.address,
            namespace=hub.namespace,
            clock_file=clock("tracker"),
            security__insecure_cluster="true",
        ) as tracker,
        trio.open_nursery() as nursery,
    ):
        nodes = tuple(
            BenchNode(
                host,
                root / f"n{number}",
                upstream_url or registry.url,
                tracker.url,
                settings,
                clock(f"n{number}"),
            )
            for number, host in enumerate(hosts.nodes)
        )
        await start_nodes(nursery, nodes)
        await wait_until(partial(_all_announced, nodes), _MEETING_SECONDS)
        yield ShapedCluster(hosts, registry, tracker, nodes, nursery)
        nursery.cancel_scope.cancel()


async def start_nodes(nursery: trio.Nursery, nodes: tuple[BenchNode, ...]) -> None:
    """A few at a time: a starting process is busy. They run in `nursery`."""
    limit = trio.CapacityLimiter(_STARTING_AT_A_TIME)

    async def start(node: BenchNode) -> None:
        async with limit:
            await nursery.start(node.run)

    async with trio.open_nursery() as starting:
        for node in nodes:
            starting.start_soon(start, node)


async def _all_announced(nodes: tuple[BenchNode, ...]) -> bool:
    return all([await node.reaches_its_tracker() for node in nodes])
