"""`LinkRates`: the payload that the shaped links really carry, by a plain transfer of one file over each; and the fluid
bound (Kumar and Ross 2006) at these rates."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.bench.registry_copy import copy_of
from tests.clients.registry import Registry, open_registry
from tests.cluster.namespaces import Host

_TRANSFER_SECONDS = 60


@dataclass(frozen=True, slots=True)
class LinkRates:
    """Bytes per second: what the registry sends, and a node sends and receives."""

    registry: float
    up: float
    down: float

    def bound_seconds(self, size: int, nodes: int, seeds: int = 0) -> float:
        """Before this no schedule has `size` bytes on each of `nodes` nodes; `seeds` others have all of it already."""
        source = self.registry + seeds * self.up
        return max(size / source, size / self.down, nodes * size / (source + nodes * self.up))

    def waves_bound_seconds(self, size: int, waves: Sequence[int]) -> float:
        """For waves of so many nodes, one after the other."""
        return sum(
            self.bound_seconds(size, nodes, seeds=sum(waves[:number])) for number, nodes in enumerate(waves)
        )


async def measure_rates(hub: Host, registry: Registry, nodes: Sequence[Host], path: str) -> LinkRates:
    """`path` is a blob's at `registry`: to the hub, which is not shaped; and from one node to another."""
    sender, receiver = nodes[0], nodes[1]
    from_registry = await _transfer(hub, registry.url + path)
    seed_directory = copy_of(registry.directory, "rates")
    async with open_registry(seed_directory, host=sender.address, namespace=sender.namespace) as seed:
        between = await _transfer(receiver, seed.url + path)
    return LinkRates(from_registry, between, between)


async def _transfer(to: Host, url: str) -> float:
    arguments = ["curl", "--silent", "--fail", "--output", "/dev/null", "--write-out", "%{speed_download}"]
    return float((await to.run(*arguments, url, deadline_seconds=_TRANSFER_SECONDS)).stdout)
