"""`open_docker_engine`: a whole Docker engine of its own, beside whatever else runs on the machine.

It has no bridge and touches no firewall, so containers run with `--network none`. The client is Debian's, of the same
version; a newer one may stand first in PATH.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.clients.command import Output, run
from tests.clients.daemon import Daemon, open_daemon

_CLIENT = "/usr/bin/docker"


@dataclass(frozen=True, slots=True)
class DockerEngine:
    daemon: Daemon
    socket: Path
    directory: Path

    async def docker(
        self, *arguments: str | Path, deadline_seconds: float = 120, check: bool = True
    ) -> Output:
        """Docker's command line on this engine, with a configuration directory of its own."""
        environment = {
            "DOCKER_HOST": f"unix://{self.socket}",
            "DOCKER_CONFIG": str(self.directory / "client"),
        }
        return await run(
            _CLIENT, *arguments, environment=environment, deadline_seconds=deadline_seconds, check=check
        )

    async def pull(self, reference: str, *options: str, deadline_seconds: float = 120) -> Output:
        return await self.docker("pull", *options, reference, deadline_seconds=deadline_seconds)

    async def run_image(self, reference: str, *command: str) -> str:
        """What the container prints."""
        return (await self.docker("run", "--rm", "--network", "none", reference, *command)).stdout


@asynccontextmanager
async def open_docker_engine(
    directory: Path,
    *,
    registry_mirrors: Sequence[str] = (),
    insecure_registries: Sequence[str] = (),
    namespace: str | None = None,
) -> AsyncIterator[DockerEngine]:
    """`directory` must have a short path (see scratch). Loopback registries need not be named as insecure."""
    directory.mkdir(parents=True, exist_ok=True)
    socket = directory / "docker.sock"
    arguments: list[str | Path] = ["/usr/sbin/dockerd", "--config-file", directory / "daemon.json"]
    (directory / "daemon.json").write_text("{}")
    arguments += ["--data-root", directory / "data", "--exec-root", directory / "exec"]
    arguments += ["--host", f"unix://{socket}", "--pidfile", directory / "pid"]
    arguments += ["--bridge=none", "--iptables=false", "--ip-forward=false", "--ip-masq=false"]
    for mirror in registry_mirrors:
        arguments += ["--registry-mirror", mirror]
    for registry in insecure_registries:
        arguments += ["--insecure-registry", registry]
    async with open_daemon(
        arguments, log=directory / "log", ready=r"API listen on", namespace=namespace, ready_seconds=60
    ) as daemon:
        yield DockerEngine(daemon, socket, directory)
