"""The tables of docs/simulation.md: rollouts simulated one after another, printed as Markdown.

    python -m tests.bench.rollouts [--only TEXT] [--most-nodes 1000] [--jobs 2]

What it costs: 130 microseconds of a core a chunk and node, so seconds for most, minutes for 1,000 nodes, and ten
minutes for 10,000. Nothing is measured here but processor time: the same seed gives the same table everywhere.
Exit codes: 0, 1 some nodes are stuck, 2 mistaken flags, or nothing runs with them.
"""

import argparse
import gc
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace

from tracker.simulation.cluster import Cluster
from tracker.simulation.report import Report, report_of
from tracker.simulation.scenario import GBIT, RegistryScenario, Scenario, ZoneScenario
from tracker.simulation.scenarios import SCENARIOS, scaled

_SIZES = (
    (2, 256),
    (8, 256),
    (32, 256),
    (100, 256),
    (300, 256),
    (1000, 256),
    (10_000, 256),
    (100, 1000),
    (1000, 1000),
    (100, 25),
    (1000, 25),
    (10_000, 25),
)
_FACTORS = (1, 10)
_ZONES = ((90, 3, 128), (100, 3, 256), (300, 10, 256), (1000, 3, 256))
_ASKED = {256: 1.15, 1000: 1.07, 25: 1.5}
_MOST_COPIES, _MOST_ACROSS = 1.1, 1.2
_NODES = 60


@dataclass(frozen=True, slots=True)
class Job:
    """factor: how many times faster than a node the registry is."""

    name: str
    scenario: Scenario
    factor: float = 1


@dataclass(frozen=True, slots=True)
class Done:
    job: Job
    report: Report
    cpu_seconds: float


def bound_jobs() -> list[Job]:
    return [
        Job(
            f"bound {nodes}x{chunks}",
            Scenario(nodes=nodes, chunks=chunks, registry=RegistryScenario(rate=factor * GBIT)),
            factor,
        )
        for nodes, chunks in _SIZES
        for factor in _FACTORS
    ]


def scenario_jobs() -> list[Job]:
    """Cut as agents cut it."""
    return [Job(f"scenario {name}", replace(scaled(name, nodes=_NODES), chunks=None)) for name in SCENARIOS]


def zone_jobs() -> list[Job]:
    return [
        Job(
            f"zones {nodes}x{chunks} {zones}",
            replace(scaled("zones", nodes=nodes, chunks=chunks), zones=ZoneScenario(zones=zones)),
        )
        for nodes, zones, chunks in _ZONES
    ]


def run(job: Job) -> Done:
    gc.disable()
    started = time.process_time()
    cluster = Cluster(job.scenario)
    cluster.run()
    done = Done(job, report_of(cluster), time.process_time() - started)
    print(f"{job.name} ({job.factor:g}): {_one(done)}, {done.cpu_seconds:.0f} s", file=sys.stderr, flush=True)
    gc.enable()
    gc.collect()
    return done


def _one(done: Done) -> str:
    report = done.report
    stuck = f", {report.stuck_nodes} stuck" if report.stuck_nodes else ""
    return f"{report.max_over_bound:.2f} (p50 {report.p50_over_bound:.2f}), copies {report.registry_copies:.2f}{stuck}"


def bound_table(done: Iterable[Done]) -> list[str]:
    cells: dict[tuple[int, int], dict[float, Done]] = {}
    for one in done:
        cells.setdefault((one.report.nodes, one.report.chunks), {})[one.job.factor] = one
    rows = [
        "| nodes | chunks | registry 1 Gbit/s: p50, last | registry 10 Gbit/s | CPU seconds |",
        "| --- | --- | --- | --- | --- |",
    ]
    for (nodes, chunks), by_factor in cells.items():
        texts = [
            _times(by_factor[factor], _ASKED[chunks]) if factor in by_factor else "" for factor in _FACTORS
        ]
        spent = ", ".join(f"{one.cpu_seconds:.0f}" for one in by_factor.values())
        rows.append(f"| {nodes:,} | {chunks:,} | {texts[0]} | {texts[1]} | {spent} |")
    return rows


def scenario_table(done: Iterable[Done]) -> list[str]:
    rows = ["| scenario | p50 | last | registry copies | across zones |", "| --- | --- | --- | --- | --- |"]
    for one in done:
        name, report = one.job.name.partition(" ")[2], one.report
        across = _marked(report.cross_zone_ratio, _MOST_ACROSS) if report.cross_zone_ratio else ""
        stuck = f", **{report.stuck_nodes} stuck**" if report.stuck_nodes else ""
        about = f"{name}: {SCENARIOS[name].about}" if name in SCENARIOS else name
        rows.append(
            f"| {about} | {report.p50_over_bound:.2f} | {report.max_over_bound:.2f}{stuck} "
            f"| {_marked(report.registry_copies, _MOST_COPIES)} | {across} |"
        )
    return rows


def _times(done: Done, asked: float) -> str:
    report = done.report
    last = f"{report.p50_over_bound:.2f}, {_marked(report.max_over_bound, asked)}"
    copies = "" if report.registry_copies < 1.005 else f" ({report.registry_copies:.2f} copies)"
    return last + copies + (f" **{report.stuck_nodes} stuck**" if report.stuck_nodes else "")


def _marked(value: float, most: float) -> str:
    """Bold where it is beyond what is asked."""
    return f"**{value:.2f}**" if round(value, 3) > most else f"{value:.2f}"


def why_nothing_runs(named: Sequence[Job], only: str, most_nodes: int) -> str:
    """`named`: the runs whose name contains `only`. Empty where some are small enough."""
    if not named:
        return f"--only {only}: no run has a name like that; such as bound, scenario churn, zones, 100x256"
    smallest = min(job.scenario.nodes for job in named)
    if smallest > most_nodes:
        return f"--only {only}: nothing so small; --most-nodes {smallest} lets it run, and takes long"
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.rollouts", description=__doc__)
    parser.add_argument(
        "--only", default="", help="runs whose name contains this: bound, scenario, zones, 100x256"
    )
    parser.add_argument("--most-nodes", type=int, default=1000, help="leave out larger clusters")
    parser.add_argument("--jobs", type=int, default=2, help="simulations at a time, a core each")
    given = parser.parse_args()
    kinds = ((bound_jobs(), bound_table), (scenario_jobs(), scenario_table), (zone_jobs(), scenario_table))
    named = [([job for job in jobs if given.only in job.name], table) for jobs, table in kinds]
    if problem := why_nothing_runs([job for jobs, _ in named for job in jobs], given.only, given.most_nodes):
        parser.exit(2, f"{problem}\n")
    stuck = 0
    with ProcessPoolExecutor(given.jobs) as pool:
        for jobs, table in named:
            done = list(pool.map(run, [job for job in jobs if job.scenario.nodes <= given.most_nodes]))
            stuck += sum(one.report.stuck_nodes for one in done)
            if done:
                print("\n".join(table(done)), end="\n\n", flush=True)
    return int(stuck > 0)


if __name__ == "__main__":
    sys.exit(main())
