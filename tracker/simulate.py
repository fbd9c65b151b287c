"""`shoal simulate`: how long a rollout will take, and what it will cost the registry: the real swarm and tracker code
in a simulated cluster."""

import gc
import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click

from agent.commands.quantities import counted, rate_text, seconds_text, size_text
from agent.content.chunk_map import ChunkMap
from agent.content.errors import InputError
from agent.settings.values import parse_duration, parse_rate, parse_size
from tracker.pictures.rollout import chunk_heat_map, completion_curve
from tracker.simulation.cluster import Cluster
from tracker.simulation.report import Report, report_of
from tracker.simulation.scenario import Scenario
from tracker.simulation.scenarios import SCENARIOS, scaled

_STUCK = 1
_PROGRESS_SECONDS = 0.5
_LOOKS = 200  # at the clock, in the time of the bound
_LEAST_CHUNKS = 256  # more make the answer better by a few per cent,
_MOST_CHUNKS_OF_ALL = 300_000  # and the simulation longer: these take 40 seconds, all nodes together


class _Quantity(click.ParamType):  # type: ignore[type-arg]
    def __init__(self, name: str, parse: Callable[[str], float]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> object:
        if not isinstance(value, str):
            return value
        try:
            amount = self._parse(value)
        except (InputError, ValueError) as error:
            self.fail(str(error), param, ctx)
        if amount <= 0:
            self.fail("it must be more than nothing", param, ctx)
        return amount


def _parse_link_rate(text: str) -> float:
    """Rates as everywhere; `1gbps`, as people say it, too."""
    lower = text.strip().lower()
    return parse_rate(lower.removesuffix("ps") + "it" if lower.endswith("bps") else text)


_SIZE, _RATE, _DURATION = (
    _Quantity("SIZE", parse_size),
    _Quantity("RATE", _parse_link_rate),
    _Quantity("DURATION", parse_duration),
)


@click.command()
@click.option("--nodes", type=click.IntRange(1, 100_000), help="Nodes that pull at once. [100]")
@click.option("--size", type=_SIZE, help="Size of the image, in one layer. [3GB]")
@click.option("--uplink", type=_RATE, help="What a node can send. [1gbps]")
@click.option("--downlink", type=_RATE, help="What a node can receive. [as --uplink]")
@click.option("--registry", type=_RATE, help="What the registry can send to all together. [1gbps]")
@click.option("--connection", type=_RATE, help="What the registry sends on one connection. [no limit]")
@click.option("--latency", type=_DURATION, help="One way, between two nodes. [0.5ms]")
@click.option("--zones", type=click.IntRange(1, 100), help="Zones of equal size. [1]")
@click.option(
    "--chunks",
    type=click.IntRange(1, 20_000),
    help="Chunks a layer. [as nodes cut it; 256 or more where that takes minutes]",
)
@click.option("--seed", type=int, help="Chance; the same seed gives the same report. [1]")
@click.option(
    "--scenario",
    type=click.Choice(sorted(SCENARIOS)),
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
    click.echo(json.dumps(report.fields()) if as_json else "\n".join(words(chosen, report)))
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
            _show_progress(cluster, time.monotonic())
        cluster.run()
    finally:
        gc.enable()
        if sys.stderr.isatty():
            click.echo("\r\033[K", nl=False, err=True)
    return cluster


def _show_progress(cluster: Cluster, shown_at: float) -> None:
    """A line that is written anew, as an event among the others."""
    now = time.monotonic()
    if now >= shown_at + _PROGRESS_SECONDS:
        shown_at, nodes = now, cluster.nodes.values()
        chunks = sum(blob.chunks.count for blob in cluster.blobs) * len(nodes)
        come = sum(node.chunks_held for node in nodes) / chunks
        done = sum(node.whole_at is not None for node in nodes)
        click.echo(f"\r{come:4.0%} of all chunks have come, {done:,} nodes are done", nl=False, err=True)
    cluster.clock.after(cluster.bound_seconds / _LOOKS, _show_progress, cluster, shown_at)


def words(scenario: Scenario, report: Report) -> list[str]:
    direct = max(
        scenario.nodes * scenario.image_bytes / scenario.registry.rate, scenario.image_bytes / scenario.down
    )
    size, copies = scenario.image_bytes, report.registry_copies
    rates = f"{rate_text(scenario.up)} up and {rate_text(scenario.down)} down"
    rows = {
        "The last node is done after": f"{seconds_text(report.max_seconds)}, half of them after "
        f"{seconds_text(report.p50_seconds)}, 99 of 100 after {seconds_text(report.p99_seconds)}",
        "No schedule could beat": f"{seconds_text(report.bound_seconds)}, with chunks of this size "
        f"{seconds_text(report.chunked_bound_seconds)}; this is {report.max_over_bound:.2f} times the bound",
        "Pulling straight takes": f"{seconds_text(direct)} at the least",
        "The registry sends": f"{size_text(copies * size)} ({copies:.2f} copies) in "
        f"{counted(report.registry_requests, 'request')}, {report.registry_refusals} of them refused",
        "Each node exchanges": f"{report.messages_per_node:.0f} messages; fairness of uploads {report.fairness:.2f}",
    }
    if scenario.zones.zones > 1:
        between = report.cross_zone_ratio * (scenario.zones.zones - 1) * size
        rows["Between zones go"] = f"{size_text(between)}, {report.cross_zone_ratio:.2f} times the least"
    width = max(map(len, rows)) + 2
    stuck, pull = report.stuck_nodes, "pulls" if scenario.nodes == 1 else "pull"
    head = (
        f"{counted(scenario.nodes, 'node')} {pull} {size_text(size)} in {counted(report.chunks, 'chunk')}, each with "
        f"{rates}, from a registry with {rate_text(scenario.registry.rate)}."
    )
    return [
        head,
        "",
        *(f"{name:{width}}{value}" for name, value in rows.items()),
        f"{counted(stuck, 'node')} of them never done" if stuck else "Every node completes",
    ]


def _make_folder(folder: Path) -> None:
    """Before a simulation that may take minutes."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.UsageError(f"--pictures {folder}: cannot make it: {error.strerror}") from None


def _draw(cluster: Cluster, report: Report, folder: Path) -> None:
    history = cluster.history
    curve = completion_curve(report.finish_times, report.nodes, report.bound_seconds)
    (folder / "completion.png").write_bytes(curve)
    heat = chunk_heat_map(history.arrivals, history.slot_seconds, history.nodes, history.chunks)
    (folder / "chunks.png").write_bytes(heat)
    click.echo(f"Pictures: {folder / 'completion.png'}, {folder / 'chunks.png'}", err=True)
