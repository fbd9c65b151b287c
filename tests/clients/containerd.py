"""`open_containerd`: a containerd of its own without CRI, driven by `ctr`, with registry hosts in a hosts directory."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.clients.command import Output, run
from tests.clients.daemon import Daemon, open_daemon

_CONFIGURATION = """\
version = 2
root = "{directory}/root"
state = "{directory}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "{directory}/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "{directory}/opt"
"""
_HOSTS = """\
server = "{server}"
[host."{mirror}"]
  capabilities = ["pull", "resolve"]
"""
_run_numbers = itertools.count(1)
_RUNS = 3


@dataclass(frozen=True, slots=True)
class Containerd:
    daemon: Daemon
    directory: Path

    @property
    def hosts_directory(self) -> Path:
        return self.directory / "certs.d"

    async def ctr(self, *arguments: str | Path, deadline_seconds: float = 120, check: bool = True) -> Output:
        socket = self.directory / "containerd.sock"
        return await run(
            "/usr/bin/ctr", "--address", socket, *arguments, deadline_seconds=deadline_seconds, check=check
        )

    def use_mirror(self, registry_host: str, mirror_url: str, *, server_url: str | None = None) -> None:
        """Writes hosts.toml for one registry, as a node's administrator would: `docker.io`, `http://127.0.0.1:5050`."""
        directory = self.hosts_directory / registry_host
        directory.mkdir(parents=True, exist_ok=True)
        server = server_url or f"https://{registry_host}"
        (directory / "hosts.toml").write_text(_HOSTS.format(server=server, mirror=mirror_url))

    async def pull(self, reference: str, *options: str, deadline_seconds: float = 120) -> Output:
        """`reference` is a full one: docker.io/library/busybox:latest."""
        self.hosts_directory.mkdir(exist_ok=True)
        options = ("--hosts-dir", str(self.hosts_directory), *options)
        return await self.ctr("images", "pull", *options, reference, deadline_seconds=deadline_seconds)

    async def run_image(self, reference: str, *command: str) -> str:
        """What the container prints. ctr 1.6 does not wait for the copying of it to end: on a busy machine what a short
        run printed is lost now and then, so one that printed nothing runs again."""
        printed = ""
        for _ in range(_RUNS):
            container = f"run-{next(_run_numbers)}"
            printed = (await self.ctr("run", "--rm", reference, container, *command)).stdout
            if printed:
                break
        return printed


@asynccontextmanager
async def open_containerd(directory: Path, *, namespace: str | None = None) -> AsyncIterator[Containerd]:
    """`directory` must have a short path (see scratch)."""
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "config.toml"
    file.write_text(_CONFIGURATION.format(directory=directory))
    async with open_daemon(
        ["/usr/bin/containerd", "--config", file],
        log=directory / "log",
        ready=r"containerd successfully booted",
        namespace=namespace,
    ) as daemon:
        yield Containerd(daemon, directory)
