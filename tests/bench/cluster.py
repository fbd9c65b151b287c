"""The shaped cluster: real agents on hosts with slow links, against the fluid bound, and beside the same nodes without
Shoal.

    python -m tests.bench.cluster [--full] [--only TEXT] [--no-straight] [--json FILE [--resume]]

Needs root, network namespaces, docker-registry, skopeo and curl (`make real-components`). Every row is measured on a
cluster of its own, with empty stores.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import trio

from tests.bench.bench_node import BenchNode
from tests.bench.cluster_row import HEADING, ClusterRow
from tests.bench.link_rates import LinkRates, measure_rates
from tests.bench.scenario import DEFAULT, MB, Scenario, whole_matrix
from tests.bench.series import Job, add_flags, open_series
from tests.bench.shaped_cluster import (
    Hosts,
    ShapedCluster,
    clear_up_after_sigterm,
    open_copy,
    open_hosts,
    open_memory,
    open_shaped_cluster,
)
from tests.bench.straight import pull_by_skopeo
from tests.clients.components import missing_components
from tests.clients.registry import Registry, open_registry
from tests.clients.shoal_node import REGISTRY
from tests.fakes.images import Image, make_image, random_layer
from tests.fakes.publish import push_image

NAME = "bench/app"
_PROBE_BYTES = 16 * MB
_PULL_SECONDS = 1800
_CORES = os.cpu_count() or 1


class Images:
    """What a scenario's registry holds: version 1 and 2 of the image, and a blob to measure links with."""

    def __init__(self, scenario: Scenario) -> None:
        size, count = scenario.layer_bytes, scenario.layers
        layers = [random_layer(f"layer {number}", size, compression="gzip") for number in range(count)]
        self.first = make_image(layers)
        new = random_layer("another last layer", size, compression="gzip")
        self.second = make_image([*layers[:-1], new])
        self.probe = make_image([random_layer("probe", _PROBE_BYTES)])

    async def push(self, directory: Path) -> None:
        async with open_registry(directory) as registry:
            await push_image(self.first, registry.url, NAME, "1")
            await push_image(self.second, registry.url, NAME, "2")
            await push_image(self.probe, registry.url, "bench/probe", "1")

    @property
    def probe_path(self) -> str:
        return f"/v2/bench/probe/blobs/{self.probe.blobs[-1].digest}"


async def pull_everywhere(nodes: Sequence[BenchNode], waves: Sequence[range], tag: str) -> float:
    """Seconds until the last node has it. AssertionError where one does not get it."""
    started = time.perf_counter()

    async def pull(node: BenchNode) -> None:
        outcome = await node.shoal.pull(f"{REGISTRY}/{NAME}:{tag}", _PULL_SECONDS)
        assert outcome["outcome"] == "done", outcome

    for wave in waves:
        async with trio.open_nursery() as nursery:
            for number in wave:
                nursery.start_soon(pull, nodes[number])
    return time.perf_counter() - started


def check_whole(nodes: Sequence[BenchNode], image: Image) -> None:
    """The bytes on every node are what the digests say."""
    for node in nodes:
        for blob in image.all_blobs():
            assert node.shoal.blob_sha256(blob.digest) == blob.digest.hex, (node.directory, blob.digest)


class ClusterRun:
    """One scenario, from the pushed image to its row."""

    def __init__(self, scenario: Scenario, root: Path) -> None:
        self._scenario = scenario
        self._root = root
        self._seed = root / "seed"
        self._images = Images(scenario)

    async def measure(self) -> ClusterRow:
        await self._images.push(self._seed)
        async with open_hosts(self._scenario) as hosts:
            async with open_copy(self._seed, "probe", hosts.registry) as registry:
                rates = await measure_rates(hosts.hub, registry, hosts.nodes, self._images.probe_path)
            async with open_shaped_cluster(hosts, self._seed, self._root) as cluster:
                row = await self._swarm(cluster, rates)
            if not self._scenario.with_straight:
                return row
            direct, cached = await self._without_shoal(hosts)
            return replace(row, direct_seconds=round(direct, 2), cache_seconds=round(cached, 2))

    async def _swarm(self, cluster: ShapedCluster, rates: LinkRates) -> ClusterRow:
        scenario, images, nodes = self._scenario, self._images, cluster.nodes
        tag, image = "1", images.first
        if scenario.pattern == "update":
            await pull_everywhere(nodes, [range(scenario.nodes)], "1")
            tag, image = "2", images.second
        before = [node.spent() for node in nodes]
        for node in nodes:
            node.shoal.forget_peak()
        read_before, busy_before, at = cluster.registry.blob_bytes(), _busy_seconds(), time.perf_counter()
        seconds = await pull_everywhere(nodes, scenario.waves(), tag)
        busy = (_busy_seconds() - busy_before) / (time.perf_counter() - at) / _CORES
        spent = [node.spent() for node in nodes]
        check_whole(nodes, image)
        bound = rates.waves_bound_seconds(scenario.moved_bytes, [len(wave) for wave in scenario.waves()])
        cpu = sum(now.cpu_seconds - then.cpu_seconds for now, then in zip(spent, before, strict=True))
        read = _settled_bytes(cluster.registry) - read_before
        return ClusterRow(
            scenario=scenario.name,
            nodes=scenario.nodes,
            image_bytes=scenario.image_bytes,
            moved_bytes=scenario.moved_bytes,
            seconds=round(seconds, 3),
            bound_seconds=round(bound, 3),
            ratio=round(seconds / bound, 3),
            registry_copies=round(read / scenario.moved_bytes, 4),
            direct_seconds=None,
            cache_seconds=None,
            cpu_seconds_per_node=round(cpu / scenario.nodes, 3),
            peak_rss_bytes=max(one.peak_rss_bytes for one in spent),
            machine_busy=round(busy, 3),
            node_bytes_per_second=round(rates.down),
            registry_bytes_per_second=round(rates.registry),
        )

    async def _without_shoal(self, hosts: Hosts) -> tuple[float, float]:
        """Straight, and through the cache, whose registry has a host like the other one's for itself: so that both can
        run at the same time where a node's link is not what holds them up."""
        seconds: dict[str, float] = {}

        async def straight() -> None:
            async with open_copy(self._seed, "straight", hosts.registry) as registry:
                seconds["straight"] = await self._skopeo(hosts, registry, "straight")

        async def cached() -> None:
            async with (
                open_copy(self._seed, "origin", hosts.hub) as origin,
                open_registry(
                    self._root / "cache",
                    host=hosts.cache.address,
                    remote_url=origin.url,
                    namespace=hosts.cache.namespace,
                ) as cache,
            ):
                seconds["cached"] = await self._skopeo(hosts, cache, "cached")

        share = self._scenario.registry_mbit / self._scenario.nodes
        if 2 * share <= self._scenario.node_mbit / 2:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(straight)
                nursery.start_soon(cached)
        else:
            await straight()
            await cached()
        return seconds["straight"], seconds["cached"]

    async def _skopeo(self, hosts: Hosts, registry: Registry, name: str) -> float:
        layouts, scenario = self._root / name, self._scenario
        if scenario.pattern == "update":
            await pull_by_skopeo(
                hosts.nodes, [range(scenario.nodes)], f"{registry.authority}/{NAME}:1", layouts
            )
        tag = "2" if scenario.pattern == "update" else "1"
        return await pull_by_skopeo(
            hosts.nodes, scenario.waves(), f"{registry.authority}/{NAME}:{tag}", layouts
        )


def _busy_seconds() -> float:
    """CPU time that this machine's cores have spent on anything since it started (proc(5)), theft included."""
    ticks = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    user, nice, system, _idle, _wait, irq, soft, steal = ticks
    return (user + nice + system + irq + soft + steal) / os.sysconf("SC_CLK_TCK")


def _settled_bytes(registry: Registry) -> int:
    """After a moment: the registry logs an answer once it has ended."""
    time.sleep(0.3)
    return registry.blob_bytes()


async def measure_one(scenario: Scenario) -> ClusterRow:
    with open_memory() as root:
        return await ClusterRun(scenario, root).measure()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.cluster", description=__doc__)
    parser.add_argument("--full", action="store_true", help="the whole matrix: hours")
    parser.add_argument("--only", default="", help="scenarios whose name contains this")
    parser.add_argument("--no-straight", action="store_true", help="only Shoal")
    add_flags(parser)
    given = parser.parse_args()
    if missing := missing_components(["namespaces", "registry", "skopeo", "curl"]):
        parser.exit(2, f"lacking here: {', '.join(missing)} (make real-components; root)\n")
    scenarios = [one for one in (whole_matrix() if given.full else DEFAULT) if given.only in one.name]
    if given.no_straight:
        scenarios = [replace(one, with_straight=False) for one in scenarios]
    clear_up_after_sigterm()
    series = open_series(ClusterRow, parser, given)
    print(HEADING)
    return series.run(
        [Job(one.name, one.usual_seconds, partial(trio.run, measure_one, one)) for one in scenarios]
    )


if __name__ == "__main__":
    sys.exit(main())
