"""The faults that befall a shaped cluster in the middle of a pull; what each does, and whom it takes out for good."""

import random
import signal
import subprocess
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import trio

from tests.bench.shaped_cluster import Hosts, ShapedCluster
from tests.clients.command import run
from tests.clients.daemon import open_daemon
from tests.clients.moved_clock import move_clock
from tests.clients.shoal_node import REGISTRY, open_tracker
from tests.fakes.images import Image
from tracker.simulation.deaths import Death, random_deaths

_AWAY_SECONDS = 3.0
_DYING = 0.2
_SEED = 1
_LOOK_SECONDS = 0.2
_DAY_SECONDS = 86_400
_LITTLE_DISK = "size=8m"
_PROXY_PORT = 5001
_PROXY = """
daemon off; user root; worker_processes 1; pid {root}/pid; error_log {root}/error;
events {{ worker_connections 1024; }}
http {{
  access_log off; limit_req_zone $server_name zone=all:1m rate=2r/s;
  client_body_temp_path {root}/t1; proxy_temp_path {root}/t2; fastcgi_temp_path {root}/t3;
  uwsgi_temp_path {root}/t4; scgi_temp_path {root}/t5;
  server {{
    listen {host}:{port};
    location / {{
      limit_req zone=all; limit_req_status 429; add_header Retry-After 1;
      proxy_pass http://{host}:5000; proxy_buffering off;
    }}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Stage:
    """rollout_seconds: the bound for an undisturbed one. `lost`: numbers of nodes that need not have the image in the
    end."""

    cluster: ShapedCluster
    image: Image
    reference: str
    root: Path
    stack: AsyncExitStack
    rollout_seconds: float
    lost: set[int] = field(default_factory=set)

    async def wait_half(self) -> None:
        """Until the nodes have got half of all that they are to get."""
        nodes = self.cluster.nodes
        wanted = self.image.size_bytes * len(nodes) / 2
        while True:
            totals = [(await node.shoal.status())["traffic"]["total_bytes"] for node in nodes]
            if sum(total["registry_in"] + total["peers_in"] for total in totals) >= wanted:
                return
            await trio.sleep(_LOOK_SECONDS)


async def nothing(stage: Stage) -> None:
    del stage


async def tracker_dies(stage: Stage) -> None:
    await stage.wait_half()
    tracker, hub = stage.cluster.tracker, stage.cluster.hosts.hub
    await tracker.daemon.kill()
    await trio.sleep(_AWAY_SECONDS)
    reborn = open_tracker(
        stage.root / "reborn.log",
        host=hub.address,
        namespace=hub.namespace,
        security__insecure_cluster="true",
        tracker__listen=f"{hub.address}:{tracker.port}",
    )
    await stage.stack.enter_async_context(reborn)


async def a_fifth_dies(stage: Stage) -> None:
    """Chosen by chance, at moments of chance from the start on, each back a moment later with what it had."""
    nodes, chance = stage.cluster.nodes, random.Random(_SEED)

    async def die(death: Death) -> None:
        node = nodes[death.node]
        await trio.sleep(death.at_seconds)
        await node.kill()
        assert death.back_seconds is not None
        await trio.sleep(death.back_seconds - death.at_seconds)
        await stage.cluster.nursery.start(node.run)

    async with trio.open_nursery() as nursery:
        for death in random_deaths(len(nodes), _DYING, stage.rollout_seconds, _AWAY_SECONDS, chance):
            nursery.start_soon(die, death)


async def seed_and_alter(stage: Stage) -> None:
    """One in eight has the image already; then its disk changes bytes in the middle of every large blob."""
    for number in range(0, len(stage.cluster.nodes), 8):
        node = stage.cluster.nodes[number]
        assert (await node.shoal.pull(stage.reference))["outcome"] == "done"
        stage.lost.add(number)
        for blob in stage.image.blobs:
            if blob.size_bytes > 1_000_000:
                path = node.directory / "store" / "blobs" / "sha256" / blob.digest.hex
                path.chmod(0o644)
                with path.open("r+b") as file:
                    for offset in range(0, blob.size_bytes, 100_000):
                        file.seek(offset)
                        file.write(b"not what was pulled")


async def one_falls_mute(stage: Stage) -> None:
    """Its process stands still: the kernel accepts for it, and nothing is ever sent. It wakes when others are done."""
    await stage.wait_half()
    pid = stage.cluster.nodes[0].shoal.daemon.process
    pid.send_signal(signal.SIGSTOP)
    others = stage.cluster.nodes[1:]
    digests = [blob.digest for blob in stage.image.all_blobs()]
    try:
        with trio.move_on_after(60):
            while not all(_has(node.directory, digest.hex) for node in others for digest in digests):
                await trio.sleep(_LOOK_SECONDS)
    finally:
        pid.send_signal(signal.SIGCONT)


async def registry_cut(stage: Stage) -> None:
    """From early on, while much of it has yet to be read."""
    hosts = stage.cluster.hosts
    while not stage.cluster.registry.blob_bytes():
        await trio.sleep(_LOOK_SECONDS)
    await hosts.all.cut(hosts.registry)
    await trio.sleep(_AWAY_SECONDS)
    await hosts.all.mend(hosts.registry)


async def partition(stage: Stage) -> None:
    """The second half of the nodes reach only each other for a while."""
    await stage.wait_half()
    hub, count = stage.cluster.hosts.hub.namespace, len(stage.cluster.nodes)
    links = [f"link{number + 1}" for number in range(count // 2, count)]
    await run("ip", "-n", hub, "link", "add", "island", "type", "bridge", "forward_delay", "0")
    await run("ip", "-n", hub, "link", "set", "island", "up")
    for link in links:
        await run("ip", "-n", hub, "link", "set", link, "master", "island")
    await trio.sleep(_AWAY_SECONDS * 2)
    for link in links:
        await run("ip", "-n", hub, "link", "set", link, "master", "lan")


async def clocks_jump(stage: Stage) -> None:
    """A day ahead or back, every node and the tracker; the other way after a while; and then they are right again."""
    await stage.wait_half()
    for turn in (1, -1, 0):
        for number, clock in enumerate(sorted(stage.root.glob("*.clock"))):
            move_clock(clock, turn * (_DAY_SECONDS if number % 2 else -_DAY_SECONDS))
        await trio.sleep(_AWAY_SECONDS * 2 / 3)


def little_disk(root: Path) -> None:
    directory = root / "n0"
    directory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", _LITTLE_DISK, "tmpfs", directory], check=True)


async def first_is_lost(stage: Stage) -> None:
    stage.lost.add(0)


async def throttling_proxy(hosts: Hosts, root: Path, stack: AsyncExitStack) -> str:
    """Two requests a second; whoever asks for more gets 429 and Retry-After. The proxy's URL."""
    directory = root / "proxy"
    directory.mkdir()
    host = hosts.registry.address
    (directory / "conf").write_text(_PROXY.format(root=directory, host=host, port=_PROXY_PORT))
    proxy = open_daemon(
        ["nginx", "-c", str(directory / "conf")],
        log=directory / "log",
        ready="",
        namespace=hosts.registry.namespace,
    )
    await stack.enter_async_context(proxy)
    return f"http://{host}:{_PROXY_PORT}"


Act = Callable[[Stage], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Fault:
    """`prepare`: before the nodes start, given their root. `before`: when all are up, not timed. `during`: beside the
    pull. moves_clocks: every process has a clock that can be moved."""

    name: str
    during: Act = nothing
    before: Act = nothing
    prepare: Callable[[Path], None] | None = None
    throttled: bool = False
    moves_clocks: bool = False


FAULTS = (
    Fault("undisturbed"),
    Fault("tracker killed at half time, back after 3 s", tracker_dies),
    Fault("a fifth of the nodes killed, each back after 3 s", a_fifth_dies),
    Fault("one in eight sends wrong bytes", before=seed_and_alter),
    Fault("one accepts and never sends", one_falls_mute),
    Fault("registry cut for 3 s", registry_cut),
    Fault("registry answers 429 beyond 2 requests a second", throttled=True),
    Fault("half of the nodes cut off for 6 s", partition),
    Fault("disk full on one node", before=first_is_lost, prepare=little_disk),
    Fault("all clocks jump by a day, back and forth", clocks_jump, moves_clocks=True),
)
REFERENCE = f"{REGISTRY}/bench/app:1"


def _has(directory: Path, hex_digest: str) -> bool:
    return (directory / "store" / "blobs" / "sha256" / hex_digest).exists()
