"""`Podman`: the real podman on a storage of its own. There is no daemon: `close` it only to leave nothing mounted."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.clients.command import Output, run
from tests.clients.registries_conf import registries_conf, storage_conf

# Podman raises the limits of a container's processes beyond what it may on a machine without CAP_SYS_RESOURCE.
_CONTAINERS_CONF = """\
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=32768:32768"]
netns = "none"
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
runtime = "runc"
tmp_dir = "{directory}/tmp"
[network]
network_config_dir = "{directory}/networks"
"""


@dataclass(frozen=True, slots=True)
class Podman:
    directory: Path

    @classmethod
    def in_directory(
        cls, directory: Path, *, mirrors: Mapping[str, str] | None = None, insecure: tuple[str, ...] = ()
    ) -> "Podman":
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "containers.conf").write_text(_CONTAINERS_CONF.format(directory=directory))
        (directory / "storage.conf").write_text(storage_conf(directory))
        (directory / "auth.json").write_text("{}")
        (directory / "registries.conf").write_text(registries_conf(mirrors or {}, insecure=insecure))
        return cls(directory)

    async def podman(
        self, *arguments: str | Path, deadline_seconds: float = 120, check: bool = True
    ) -> Output:
        environment = {
            "CONTAINERS_CONF": str(self.directory / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(self.directory / "storage.conf"),
            "CONTAINERS_REGISTRIES_CONF": str(self.directory / "registries.conf"),
            "REGISTRY_AUTH_FILE": str(self.directory / "auth.json"),
        }
        return await run(
            "/usr/bin/podman",
            *arguments,
            environment=environment,
            deadline_seconds=deadline_seconds,
            check=check,
        )

    async def pull(self, reference: str, *options: str, deadline_seconds: float = 120) -> Output:
        return await self.podman("pull", *options, reference, deadline_seconds=deadline_seconds)

    async def run_image(self, reference: str, *command: str) -> str:
        """What the container prints; the image must have been pulled."""
        return (await self.podman("run", "--rm", "--pull=never", reference, *command)).stdout
