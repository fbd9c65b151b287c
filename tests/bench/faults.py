"""Faults under load: real agents on shaped links, and something goes wrong while they pull.

    python -m tests.bench.faults [--nodes 8] [--megabytes 20] [--only TEXT] [--json FILE [--resume]]

Every surviving node must end with the right digests, whatever happened; the row says what it cost in time.
"""

import argparse
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial

import trio

from agent.content.errors import ShoalError
from tests.bench.bench_node import BenchNode
from tests.bench.cluster import NAME, Images
from tests.bench.fault import FAULTS, REFERENCE, Fault, Stage
from tests.bench.fault import throttling_proxy as open_proxy
from tests.bench.scenario import MB, Scenario
from tests.bench.series import Job, Series, add_flags, open_series
from tests.bench.shaped_cluster import clear_up_after_sigterm, open_hosts, open_memory, open_shaped_cluster
from tests.clients.components import missing_components

_PULL_SECONDS = 300
_AGAIN_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class FaultRow:
    """`surviving`: nodes that had to end whole, and did. `slowdown`: over the undisturbed
    run, None where that one failed. `failed_pulls`: that were told so, and asked again."""

    fault: str
    nodes: int
    surviving: int
    seconds: float
    slowdown: float | None
    registry_copies: float
    failed_pulls: int

    @property
    def name(self) -> str:
        return self.fault

    def line(self) -> str:
        slowdown = f"{'-':>9}" if self.slowdown is None else f"{self.slowdown:9.2f}"
        return (
            f"{self.fault:50} {self.surviving:4} of {self.nodes:<4} {self.seconds:8.2f} {slowdown} "
            f"{self.registry_copies:7.3f} {self.failed_pulls:8}"
        )


HEADING = f"{'':50} {'whole':>12} {'seconds':>8} {'slowdown':>9} {'copies':>7} {'repulled':>8}"


async def measure_fault(fault: Fault, scenario: Scenario, usual_seconds: float | None) -> FaultRow:
    """On a cluster of its own. AssertionError where a surviving node is not whole in the end."""
    assert NAME in REFERENCE
    images = Images(scenario)
    with open_memory() as root:
        await images.push(root / "seed")
        if fault.prepare is not None:
            fault.prepare(root)
        async with open_hosts(scenario) as hosts, AsyncExitStack() as stack:
            upstream = await open_proxy(hosts, root, stack) if fault.throttled else ""
            async with open_shaped_cluster(
                hosts, root / "seed", root, upstream, fault.moves_clocks
            ) as cluster:
                stage = Stage(cluster, images.first, REFERENCE, root, stack, scenario.nominal_bound_seconds)
                await fault.before(stage)
                read_before = cluster.registry.blob_bytes()
                seconds, failed = await _pull(fault, stage)
                whole = [number for number in range(scenario.nodes) if number not in stage.lost]
                for number in whole:
                    _check_whole(cluster.nodes[number], stage)
                await trio.sleep(0.3)  # the registry logs an answer once it has ended
                copies = (cluster.registry.blob_bytes() - read_before) / scenario.image_bytes
                return FaultRow(
                    fault.name,
                    scenario.nodes,
                    len(whole),
                    round(seconds, 2),
                    None if usual_seconds is None else round(seconds / usual_seconds, 2),
                    round(copies, 3),
                    failed,
                )


async def _pull(fault: Fault, stage: Stage) -> tuple[float, int]:
    """Seconds until the last surviving node was whole; how many pulls had to be asked for again."""
    failed = 0
    ends: list[float] = []
    started = time.perf_counter()

    async def pull(number: int, node: BenchNode) -> None:
        nonlocal failed
        while True:
            try:
                outcome = await node.shoal.pull(stage.reference, _PULL_SECONDS)
            except (ShoalError, AssertionError, OSError):
                outcome = {"outcome": "the agent is gone"}
            if outcome["outcome"] == "done":
                ends.append(time.perf_counter())
                return
            failed += 1
            if number in stage.lost:
                assert outcome.get("error"), outcome  # it says why
                return
            await trio.sleep(_AGAIN_SECONDS)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(fault.during, stage)
        with trio.fail_after(_PULL_SECONDS):
            async with trio.open_nursery() as pulls:
                for number, node in enumerate(stage.cluster.nodes):
                    if not _is_seed(fault, number, stage):
                        pulls.start_soon(pull, number, node)
    return max(ends) - started, failed


def _is_seed(fault: Fault, number: int, stage: Stage) -> bool:
    """It had the image before, and is not asked for it again."""
    return number in stage.lost and fault.prepare is None


def _check_whole(node: BenchNode, stage: Stage) -> None:
    for blob in stage.image.all_blobs():
        assert node.shoal.blob_sha256(blob.digest) == blob.digest.hex, (node.directory, blob.digest)


def jobs(series: Series[FaultRow], scenario: Scenario, only: str) -> list[Job[FaultRow]]:
    """The undisturbed run comes first, always: the others are compared with it."""

    def measure(fault: Fault) -> FaultRow:
        undisturbed = series.rows.get(FAULTS[0].name)
        usual = undisturbed.seconds if undisturbed is not None else None
        row = trio.run(measure_fault, fault, scenario, usual)
        return replace(row, slowdown=1.0) if fault is FAULTS[0] else row

    chosen = [fault for fault in FAULTS if only in fault.name]
    if chosen and FAULTS[0] not in chosen:
        chosen.insert(0, FAULTS[0])
    usual_seconds = 5 + 0.6 * scenario.nodes + 1.5 * scenario.nominal_bound_seconds
    return [Job(fault.name, usual_seconds, partial(measure, fault)) for fault in chosen]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.faults", description=__doc__)
    parser.add_argument("--nodes", type=int, default=8)
    parser.add_argument("--megabytes", type=int, default=20)
    parser.add_argument("--only", default="", help="faults whose name contains this, and the undisturbed run")
    add_flags(parser)
    given = parser.parse_args()
    if missing := missing_components(["namespaces", "registry", "nginx", "curl", "faketime"]):
        parser.exit(2, f"lacking here: {', '.join(missing)} (make real-components; root)\n")
    scenario = Scenario(given.nodes, given.megabytes * MB, 4, node_mbit=20, registry_mbit=40)
    clear_up_after_sigterm()
    series = open_series(FaultRow, parser, given)
    print(f"{scenario.name}, nodes at {scenario.node_mbit:g} Mbit/s, registry at {scenario.registry_mbit:g}")
    print(HEADING)
    return series.run(jobs(series, scenario, given.only))


if __name__ == "__main__":
    sys.exit(main())
