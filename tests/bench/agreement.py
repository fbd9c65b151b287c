"""Whether the simulator tells the truth: real agents on shaped links, and the same rollouts simulated.

    python -m tests.bench.agreement [--only TEXT] [--json FILE [--resume]]

Links are slow enough for processors not to matter. The simulation is given what the links were measured to carry of
payload in the same run, the image's layers, cut as agents cut them, and how the links queue; it is not told any result.
Exit codes: 0 all agree within 15 per cent, 1 some do not or failed, 2 something is lacking here (needs what
tests.bench.cluster needs).
"""

import argparse
import statistics
import sys
from dataclasses import dataclass
from functools import partial

import trio

from tests.bench.cluster import measure_one
from tests.bench.cluster_row import ClusterRow
from tests.bench.scenario import MB, Scenario
from tests.bench.series import Job, add_flags, open_series
from tests.bench.shaped_cluster import clear_up_after_sigterm
from tests.clients.components import missing_components
from tracker.simulation.cluster import Cluster
from tracker.simulation.report import report_of
from tracker.simulation.scenario import RegistryScenario
from tracker.simulation.scenario import Scenario as Simulated

MOST_APART = 0.15
# A frame waits behind the chunk bytes that the token bucket has queued (96 kB at most here: 40 ms at 20 Mbit/s).
_LATENCY_SECONDS = 0.02
_SEEDS = (1, 2, 3)

SCENARIOS = (
    Scenario(2, 30 * MB, 1, node_mbit=20, registry_mbit=20, with_straight=False),
    Scenario(4, 30 * MB, 1, node_mbit=20, registry_mbit=40, with_straight=False),
    Scenario(8, 50 * MB, 1, node_mbit=20, registry_mbit=20, with_straight=False),
)


@dataclass(frozen=True, slots=True)
class Agreement:
    scenario: str
    bound_seconds: float
    real_seconds: float
    simulated_seconds: float
    real_copies: float
    simulated_copies: float
    machine_busy: float

    @property
    def name(self) -> str:
        return self.scenario

    @property
    def ratio(self) -> float:
        return self.simulated_seconds / self.real_seconds

    @property
    def holds(self) -> bool:
        return abs(self.ratio - 1) <= MOST_APART

    def line(self) -> str:
        return (
            f"{self.scenario:42} {self.bound_seconds:7.2f} {self.real_seconds:7.2f} {self.simulated_seconds:9.2f} "
            f"{self.ratio:6.3f} {self.real_copies:7.3f} {self.simulated_copies:9.3f} "
            f"{self.machine_busy:5.0%}{'' if self.holds else '  APART'}"
        )


HEADING = f"{'':42} {'bound':>7} {'real':>7} {'simulated':>9} {'ratio':>6} {'copies':>7} {'simulated':>9} {'busy':>5}"


def simulated(scenario: Scenario, row: ClusterRow, seed: int) -> Simulated:
    """The same rollout, at the rates that were measured."""
    return Simulated(
        nodes=scenario.nodes,
        layers=(scenario.layer_bytes,) * scenario.layers,
        chunks=None,
        up=row.node_bytes_per_second,
        down=row.node_bytes_per_second,
        latency_seconds=_LATENCY_SECONDS,
        registry=RegistryScenario(
            rate=row.registry_bytes_per_second, request_seconds=0.01 + 2 * _LATENCY_SECONDS
        ),
        seed=seed,
    )


def _name(scenario: Scenario) -> str:
    return f"{scenario.name} ({scenario.registry_mbit:g})"


def compare(scenario: Scenario, row: ClusterRow) -> Agreement:
    reports = []
    for seed in _SEEDS:
        cluster = Cluster(simulated(scenario, row, seed))
        cluster.run()
        reports.append(report_of(cluster))
    return Agreement(
        scenario=_name(scenario),
        bound_seconds=row.bound_seconds,
        real_seconds=row.seconds,
        simulated_seconds=round(statistics.median(max(report.finish_times) for report in reports), 3),
        real_copies=row.registry_copies,
        simulated_copies=round(statistics.median(report.registry_copies for report in reports), 4),
        machine_busy=row.machine_busy,
    )


def measure(scenario: Scenario) -> Agreement:
    return compare(scenario, trio.run(measure_one, scenario))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.agreement", description=__doc__)
    parser.add_argument("--only", default="", help="scenarios whose name contains this")
    add_flags(parser)
    given = parser.parse_args()
    if missing := missing_components(["namespaces", "registry", "skopeo", "curl"]):
        print(f"lacking here: {', '.join(missing)} (make real-components; root)", file=sys.stderr)
        return 2
    clear_up_after_sigterm()
    series = open_series(Agreement, parser, given)
    print(HEADING)
    chosen = [one for one in SCENARIOS if given.only in one.name]
    failed = series.run([Job(_name(one), one.usual_seconds, partial(measure, one)) for one in chosen])
    return failed or int(not all(one.holds for one in series.rows.values()))


if __name__ == "__main__":
    sys.exit(main())
