"""`shoal simulate`: how long a rollout will take, and what it will cost the registry: the real swarm and tracker code
in a simulated cluster."""

import gc
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryFile

import click

from agent.content.chunk_map import ChunkMap
from tracker.pictures.rollout import chunk_heat_map, completion_curve
from tracker.rollout_flags import DURATION, RATE, SIZE, Count, ScenarioName
from tracker.rollout_progress import RolloutProgress
from tracker.rollout_text import rollout_text
from tracker.simulation.cluster import Cluster
from tracker.simulation.report import Report, report_of
from tracker.simulation.scenario import Scenario
from tracker.simulation.scenarios import SCENARIOS, scaled

_STUCK = 1
_CURVE, _HEAT_MAP = "completion.png", "chunks.png"
_LEAST_CHUNKS = 256  # more make the answer better by a few per cent,
_MOST_CHUNKS_OF_ALL = 300_000  # and the simulation longer: these take 40 seconds, all nodes together


@click.command()
@click.option("--nodes", type=Count(1, 100_000), help="Nodes that pull at once. [100]")
@click.option("--size", type=SIZE, help="Size of the image, in one layer. [3GB]")
@click.option("--uplink", type=RATE, help="What a node can send. [1gbps]")
@click.option("--downlink", type=RATE, help="What a node can receive. [as --uplink]")
@click.option("--registry", type=RATE, help="What the registry can send to all together. [1gbps]")
@click.option("--connection", type=RATE, help="What the registry sends on one connection. [no limit]")
@click.option("--latency", type=DURATION, help="One way, between two nodes. [0.5ms]")
@click.option("--zones", type=Count(1, 100), help="Zones of equal size. [1]")
@click.option(
    "--chunks",
    type=Count(1, 20_000),
    help="Chunks a layer. [as nodes cut it; 256 or more where that takes minutes]",
)
@click.option("--seed", type=int, help="Chance; the same seed gives the same report. [1]")
@click.option(
    "--scenario",
    type=ScenarioName(),
    metavar="NAME",
    help="What befalls the cluster. [plain]",
)
@click.option("--list", "lists", is_flag=True, help="List the scenarios.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.option(
    "--pictures",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write completion.png, chunks.png there.",
)
def simulate(
    scenario: str | None, lists: bool, as_json: bool, pictures: Path | None, **wishes: float | None
) -> None:
    """Tell how long a rollout will take, and what it will cost the registry.

    \b
    Examples:
      shoal simulate --nodes 10000 --size 3GB --uplink 1gbps --registry 10gbps --zones 3
      shoal simulate --nodes 200 --scenario churn --pictures /tmp/churn

    Nothing is sent anywhere: the code that runs in agents and tracker runs here in a simulated cluster, some 130
    microseconds a chunk and node.

    Exit codes: 0 every node completes, 1 some do not, 2 mistaken flags.
    """
    if lists:
        for name in SCENARIOS:
            click.echo(f"{name:15} {SCENARIOS[name].about}")
        return
    chosen = _scenario(scenario or "plain", wishes)
    if pictures is not None:
        _make_folder(pictures)
    cluster = _run(chosen)
    report = report_of(cluster)
    click.echo(json.dumps(report.fields()) if as_json else rollout_text(chosen, report))
    if pictures is not None:
        _draw(cluster, report, pictures)
    if report.stuck_nodes:
        sys.exit(_STUCK)


def _scenario(name: str, wishes: dict[str, float | None]) -> Scenario:
    scenario = scaled(name)
    registry, zones = scenario.registry, scenario.zones
    size, uplink, downlink = wishes["size"], wishes["uplink"], wishes["downlink"]
    if size is not None:
        share = size / scenario.image_bytes
        scenario = replace(scenario, layers=tuple(max(round(layer * share), 1) for layer in scenario.layers))
    if uplink is not None:
        scenario = replace(scenario, up=uplink, down=uplink)
    if downlink is not None:
        scenario = replace(scenario, down=downlink)
    if wishes["registry"] is not None:
        registry = replace(registry, rate=wishes["registry"])
    if wishes["connection"] is not None:
        registry = replace(registry, connection_rate=wishes["connection"])
    if wishes["zones"] is not None:
        zones = replace(zones, zones=int(wishes["zones"]))
    if wishes["latency"] is not None:
        scenario = replace(scenario, latency_seconds=wishes["latency"])
    if wishes["nodes"] is not None:
        scenario = replace(scenario, nodes=int(wishes["nodes"]))
    if scenario.chunks is None and wishes["chunks"] is not None:
        raise click.UsageError(f"--chunks: in the scenario {name} blobs are cut as agents cut them")
    if scenario.chunks is not None:
        chunks = int(wishes["chunks"]) if wishes["chunks"] is not None else _usual_chunks(scenario)
        scenario = replace(scenario, chunks=chunks)
    if wishes["seed"] is not None:
        scenario = replace(scenario, seed=int(wishes["seed"]))
    return replace(scenario, registry=registry, zones=zones)


def _usual_chunks(scenario: Scenario) -> int | None:
    most = max(_LEAST_CHUNKS, _MOST_CHUNKS_OF_ALL // scenario.nodes)
    return None if ChunkMap.of(scenario.layers[0]).count <= most else most


def _run(scenario: Scenario) -> Cluster:
    """A simulation makes hardly any garbage in circles, and looking for it would take a third of the time."""
    gc.disable()
    try:
        cluster = Cluster(scenario)
        if sys.stderr.isatty():
            RolloutProgress(cluster, _rewrite_line, time.monotonic).look()
        cluster.run()
    finally:
        gc.enable()
        if sys.stderr.isatty():
            _rewrite_line("")
    return cluster


def _rewrite_line(text: str) -> None:
    click.echo(f"\r\033[K{text}", nl=False, err=True)


def _make_folder(folder: Path) -> None:
    """With room for a file; before a simulation that may take minutes."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=folder).close()
    except OSError as error:
        raise click.UsageError(f"--pictures {folder}: cannot write there: {error.strerror}") from None
    for name in (_CURVE, _HEAT_MAP):
        if (folder / name).is_dir():
            raise click.UsageError(f"--pictures {folder}: {name} is a directory there")


def _draw(cluster: Cluster, report: Report, folder: Path) -> None:
    history = cluster.history
    curve = completion_curve(report.finish_times, report.nodes, report.bound_seconds)
    (folder / _CURVE).write_bytes(curve)
    heat = chunk_heat_map(history.arrivals, history.slot_seconds, history.nodes, history.chunks)
    (folder / _HEAT_MAP).write_bytes(heat)
    click.echo(f"Pictures: {folder / _CURVE}, {folder / _HEAT_MAP}", err=True)
