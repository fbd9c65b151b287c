"""The named scenarios: what a rollout may meet. `scaled` gives one of them at another size."""

from dataclasses import replace

from tracker.simulation.scenario import GBIT, Hardship, RegistryScenario, Scenario, ZoneScenario

_MB = 1_000_000

SCENARIOS: dict[str, Scenario] = {
    "plain": Scenario(about="everybody at once, a registry as fast as one node"),
    "fast-registry": Scenario(
        registry=RegistryScenario(rate=10 * GBIT), about="a registry as fast as ten nodes"
    ),
    "slow-registry": Scenario(
        registry=RegistryScenario(rate=GBIT / 4), about="a registry with a quarter of a node's line"
    ),
    "quota": Scenario(
        registry=RegistryScenario(rate=10 * GBIT, quota=20, retry_after_seconds=2.0),
        about="a registry that answers 20 requests in 10 seconds, and 429 to the rest",
    ),
    "storm": Scenario(
        registry=RegistryScenario(rate=GBIT, storm=(6.0, 12.0), retry_after_seconds=2.0),
        about="the registry answers 429 to everybody for six seconds",
    ),
    "registry-cut": Scenario(
        registry=RegistryScenario(rate=GBIT, off=(6.0, 12.0)), about="the registry is gone for six seconds"
    ),
    "slow-nodes": Scenario(hardship=Hardship(slow=0.1), about="one node in ten has a tenth of the line"),
    "churn": Scenario(
        hardship=Hardship(dying=0.2, away_seconds=5.0),
        about="one in five is killed, and back after 5 seconds",
    ),
    "deaths": Scenario(hardship=Hardship(dying=0.2), about="one in five is killed, and never back"),
    "late": Scenario(hardship=Hardship(late=0.2), about="one in five comes when the others are half through"),
    "corrupt": Scenario(hardship=Hardship(corrupt=0.125), about="one in eight sends wrong bytes"),
    "boastful": Scenario(
        hardship=Hardship(boastful=0.05), about="one in twenty says it has everything, and has nothing"
    ),
    "mute": Scenario(hardship=Hardship(mute=0.05), about="one in twenty accepts and never sends"),
    "lossy": Scenario(
        hardship=Hardship(loss=0.0001), latency_seconds=0.002, about="one packet in ten thousand is lost"
    ),
    "tracker-lost": Scenario(
        hardship=Hardship(tracker_off=(10.0, 16.0)),
        about="the tracker is killed, and restarted knowing nothing",
    ),
    "parted": Scenario(
        hardship=Hardship(parted=(6.0, 14.0)),
        about="one node in four reaches neither the others nor the tracker for eight seconds",
    ),
    "disk-full": Scenario(
        hardship=Hardship(full=0.02), about="the disks of one node in fifty are full at half time"
    ),
    "zones": Scenario(zones=ZoneScenario(zones=3), about="three zones, 20 ms apart"),
    "starved-zone": Scenario(
        zones=ZoneScenario(zones=3, starved=True),
        about="the first half of the last zone to come cannot reach the others, its importer among them",
    ),
    "small-zone": Scenario(
        zones=ZoneScenario(zones=2, first_share=0.95), about="one zone has a twentieth of the nodes"
    ),
    "one-node-zones": Scenario(nodes=20, zones=ZoneScenario(zones=100), about="edge sites: one node each"),
    "14-layers": Scenario(
        layers=(1200 * _MB, 600 * _MB, 400 * _MB, 300 * _MB, 200 * _MB, 100 * _MB, *((25 * _MB,) * 8)),
        chunks=None,
        about="3 GB in 14 layers at once",
    ),
    "tiny-blobs": Scenario(layers=(100_000,) * 50, chunks=None, about="50 layers of 100 kB"),
    "manifests": Scenario(layers=(8_000,) * 8, chunks=None, about="eight contents that fit into an answer"),
    "in-order": Scenario(in_order=True, about="a reader at every node waits for the next byte, always"),
    "rolling": Scenario(join_seconds=40.0, about="nodes come one after another, over 40 seconds"),
}


def scaled(
    name: str, *, nodes: int | None = None, chunks: int | None = None, seed: int | None = None
) -> Scenario:
    """Raises KeyError where there is no such scenario."""
    scenario = SCENARIOS[name]
    if nodes is not None:
        scenario = replace(scenario, nodes=nodes)
    if chunks is not None and scenario.chunks is not None:
        scenario = replace(scenario, chunks=chunks)
    return scenario if seed is None else replace(scenario, seed=seed)
