"""Candidates for the swarm's policies, each simulated in the same rollouts: the tables of docs/policies.md.

    python -m tests.bench.policies [--only main|ahead|layers|tiny] [--seeds 3] [--jobs 2]

A cell is the last node over the fluid bound, the median of the seeds. Processor time alone: a quarter of an hour of a
core for all. The same seeds give the same tables everywhere.
"""

import argparse
import gc
import statistics
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace

from tests.bench.candidates import LAYERS, MAIN, PIPELINING, TINY, Candidate
from tracker.simulation.cluster import Cluster
from tracker.simulation.report import Report, report_of
from tracker.simulation.scenario import GBIT, RegistryScenario, Scenario
from tracker.simulation.scenarios import scaled

_NODES, _CHUNKS = 60, 256
_MET = ("plain", "churn", "slow-nodes", "corrupt", "in-order", "zones", "late")
_FAST = RegistryScenario(rate=10 * GBIT)


@dataclass(frozen=True, slots=True)
class Column:
    """of_half: the half that is done first is asked about too, since the last nodes here have bounds of their own."""

    name: str
    scenario: Scenario
    of_half: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    name: str
    columns: tuple[Column, ...]
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class Job:
    candidate: Candidate
    scenario: Scenario


def _met(name: str) -> Column:
    scenario = scaled(name, nodes=_NODES, chunks=_CHUNKS)
    return Column(name, scenario, scenario.hardship.slow > 0)


COMPARISONS = (
    Comparison("main", tuple(map(_met, _MET)), MAIN),
    Comparison(
        "ahead",
        (
            Column("100 nodes", Scenario(nodes=100)),
            Column("100, fast registry", Scenario(nodes=100, registry=_FAST)),
            Column("300 nodes", Scenario(nodes=300)),
            Column("300, fast registry", Scenario(nodes=300, registry=_FAST)),
            Column("100, 20 ms", Scenario(nodes=100, latency_seconds=0.02)),
            Column("100, 20 ms, fast registry", Scenario(nodes=100, latency_seconds=0.02, registry=_FAST)),
        ),
        PIPELINING,
    ),
    Comparison("layers", (_met("14-layers"),), LAYERS),
    Comparison("tiny", (_met("tiny-blobs"),), TINY),
)


def run(job: Job) -> Report:
    gc.disable()
    with job.candidate.in_place():
        cluster = Cluster(job.candidate.applied(job.scenario))
        cluster.run()
        report = report_of(cluster)
    gc.enable()
    gc.collect()
    return report


def table(comparison: Comparison, reports: Sequence[Report], seeds: int) -> list[str]:
    """reports: candidate by candidate, column by column, seed by seed."""
    names = [f"{column.name}: p50, last" if column.of_half else column.name for column in comparison.columns]
    rows = [f"| | {' | '.join(names)} |", f"| --- |{' --- |' * len(names)}"]
    left = iter(reports)
    for candidate in comparison.candidates:
        cells = [_cell(column, [next(left) for _ in range(seeds)]) for column in comparison.columns]
        rows.append(f"| {candidate.name} | {' | '.join(cells)} |")
    return rows


def _cell(column: Column, reports: Sequence[Report]) -> str:
    last = f"{statistics.median(report.max_over_bound for report in reports):.2f}"
    stuck = sum(report.stuck_nodes for report in reports)
    copies = max(report.registry_copies for report in reports)
    notes = (f" ({copies:.2f} copies)" if copies > 1.05 else "") + (f" **{stuck} stuck**" if stuck else "")
    half = statistics.median(report.p50_over_bound for report in reports)
    return (f"{half:.2f}, {last}" if column.of_half else last) + notes


def jobs_of(comparison: Comparison, seeds: int) -> list[Job]:
    return [
        Job(candidate, replace(column.scenario, seed=seed))
        for candidate in comparison.candidates
        for column in comparison.columns
        for seed in range(1, seeds + 1)
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.policies", description=__doc__)
    parser.add_argument("--only", choices=[comparison.name for comparison in COMPARISONS])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2, help="simulations at a time, a core each")
    given = parser.parse_args()
    stuck = 0
    with ProcessPoolExecutor(given.jobs) as pool:
        for comparison in COMPARISONS:
            if given.only in (None, comparison.name):
                reports = list(pool.map(run, jobs_of(comparison, given.seeds)))
                stuck += sum(report.stuck_nodes for report in reports)
                print("\n".join(table(comparison, reports, given.seeds)), end="\n\n", flush=True)
    return int(stuck > 0)


if __name__ == "__main__":
    sys.exit(main())
