"""`open_namespaces`: several hosts on one machine, as network namespaces on one bridge, with shaped links if wanted.

A hub namespace holds the bridge, and is itself a host (for a registry and a tracker); every node has one link to it.
The machine's own network sees nothing of this: no interface, address or route in the root namespace.

    node 1  eth0 --- link1 |
    node 2  eth0 --- link2 | bridge `lan` in the hub, 10.77.0.1/24
    node n  eth0 --- linkn |

Invariant: when the block is left, by whatever way, namespaces and links are gone, and what still ran inside has ended.
"""

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

import trio

from tests.clients.command import Output, run

_NETWORK = "10.77.0"
_HUB_HOST_NUMBER = 1
_FIRST_NODE_HOST_NUMBER = 11
MOST_NODES = 200
_KILL_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Shape:
    """tbf(8): what a link carries each way. `burst_kilobytes` must cover rate/HZ; `latency` bounds the queue."""

    rate_mbit: float
    burst_kilobytes: int = 64
    latency_milliseconds: int = 100

    def arguments(self) -> list[str]:
        limits = ["rate", f"{self.rate_mbit}mbit", "burst", f"{self.burst_kilobytes}kb"]
        return ["root", "tbf", *limits, "latency", f"{self.latency_milliseconds}ms"]


@dataclass(frozen=True, slots=True)
class Host:
    """`namespace` is what `ip netns exec` and `open_daemon(namespace=)` take."""

    namespace: str
    address: str

    @property
    def hardware_address(self) -> str:
        """Made of its address; the first byte says that no manufacturer gave it."""
        return "02:00:" + IPv4Address(self.address).packed.hex(":")

    async def run(self, *command: str | Path, deadline_seconds: float = 60, check: bool = True) -> Output:
        inside: list[str | Path] = ["ip", "netns", "exec", self.namespace, *command]
        return await run(*inside, deadline_seconds=deadline_seconds, check=check)


@dataclass(frozen=True, slots=True)
class Namespaces:
    hub: Host
    nodes: tuple[Host, ...]

    async def cut(self, node: Host) -> None:
        """Takes the node's cable out."""
        await run("ip", "-n", node.namespace, "link", "set", "eth0", "down")

    async def mend(self, node: Host) -> None:
        await run("ip", "-n", node.namespace, "link", "set", "eth0", "up")


@asynccontextmanager
async def open_namespaces(
    count: int, *, shape: Shape | Sequence[Shape | None] | None = None, hub_shape: Shape | None = None
) -> AsyncIterator[Namespaces]:
    """`shape` holds for every node's link, each way (or one for each node); `hub_shape` for what the hub's own address
    sends and receives."""
    shapes = shape if isinstance(shape, Sequence) else [shape] * count
    if not 1 <= count <= MOST_NODES:
        raise ValueError(f"{count} nodes: between 1 and {MOST_NODES} are possible")
    prefix = f"shoal-{secrets.token_hex(3)}"
    hub = Host(f"{prefix}-hub", f"{_NETWORK}.{_HUB_HOST_NUMBER}")
    nodes = tuple(
        Host(f"{prefix}-{number + 1}", f"{_NETWORK}.{_FIRST_NODE_HOST_NUMBER + number}")
        for number in range(count)
    )
    try:
        await _make_hub(hub, hub_shape)
        for number, (node, own) in enumerate(zip(nodes, shapes, strict=True), 1):
            await _make_node(hub, node, f"link{number}", own)
        await _introduce([hub, *nodes])
        yield Namespaces(hub, nodes)
    finally:
        with trio.CancelScope(shield=True):
            await _remove([*nodes, hub])


async def _make_hub(hub: Host, shape: Shape | None) -> None:
    """The hub's address sits on a veth pair of its own, so that it can be shaped like a node's."""
    await run("ip", "netns", "add", hub.namespace)
    await _ip(hub, "link", "set", "lo", "up")
    await _ip(hub, "link", "add", "lan", "type", "bridge", "forward_delay", "0")
    await _ip(hub, "link", "set", "lan", "up")
    await _ip(hub, "link", "add", "eth0", "type", "veth", "peer", "name", "link0")
    await _attach(hub, hub, "link0", shape)


async def _make_node(hub: Host, node: Host, link: str, shape: Shape | None) -> None:
    await run("ip", "netns", "add", node.namespace)
    await _ip(node, "link", "set", "lo", "up")
    await _ip(hub, "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", node.namespace)
    await _attach(hub, node, link, shape)


async def _introduce(hosts: Sequence[Host]) -> None:
    """Everybody's hardware address, to everybody. The kernel's table of neighbours is one for all namespaces and holds
    1,024 that it has found out by itself (gc_thresh3): with 32 hosts that know each other it is full, and connections
    wait for seconds. What is told counts no more than on machines of their own."""
    for host in hosts:
        others = [
            f"neigh replace {one.address} lladdr {one.hardware_address} nud permanent dev eth0"
            for one in hosts
            if one is not host
        ]
        await run("ip", "-n", host.namespace, "-batch", "-", stdin="\n".join(others).encode())


async def _attach(hub: Host, host: Host, link: str, shape: Shape | None) -> None:
    await _ip(hub, "link", "set", link, "master", "lan", "up")
    await _ip(host, "link", "set", "eth0", "address", host.hardware_address)
    await _ip(host, "addr", "add", f"{host.address}/24", "dev", "eth0")
    await _ip(host, "link", "set", "eth0", "up")
    if shape:
        for side, device in ((hub, link), (host, "eth0")):
            await run("tc", "-n", side.namespace, "qdisc", "add", "dev", device, *shape.arguments())


async def _ip(host: Host, *arguments: str) -> None:
    await run("ip", "-n", host.namespace, *arguments)


async def _remove(hosts: Sequence[Host]) -> None:
    """Processes first, as they would keep a namespace alive after its name is gone."""
    for host in hosts:
        with trio.move_on_after(_KILL_SECONDS):
            while pids := (await run("ip", "netns", "pids", host.namespace, check=False)).stdout.split():
                await run("kill", "-9", *pids, check=False)
                await trio.sleep(0.02)
        await run("ip", "netns", "delete", host.namespace, check=False)
