"""`Buildah`: the real buildah on a storage of its own; what it runs is isolated by chroot alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.clients.command import Output, run
from tests.clients.registries_conf import registries_conf, storage_conf


@dataclass(frozen=True, slots=True)
class Buildah:
    directory: Path

    @classmethod
    def in_directory(
        cls, directory: Path, *, mirrors: Mapping[str, str] | None = None, insecure: tuple[str, ...] = ()
    ) -> "Buildah":
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "storage.conf").write_text(storage_conf(directory))
        (directory / "auth.json").write_text("{}")
        (directory / "registries.conf").write_text(registries_conf(mirrors or {}, insecure=insecure))
        return cls(directory)

    async def buildah(
        self, *arguments: str | Path, deadline_seconds: float = 120, check: bool = True
    ) -> Output:
        return await run(
            "/usr/bin/buildah",
            *arguments,
            environment=self.environment(),
            deadline_seconds=deadline_seconds,
            check=check,
        )

    def environment(self) -> dict[str, str]:
        return {
            "CONTAINERS_REGISTRIES_CONF": str(self.directory / "registries.conf"),
            "CONTAINERS_STORAGE_CONF": str(self.directory / "storage.conf"),
            "REGISTRY_AUTH_FILE": str(self.directory / "auth.json"),
            "BUILDAH_ISOLATION": "chroot",
        }

    async def pull(self, reference: str, *options: str) -> Output:
        return await self.buildah("pull", *options, reference)

    async def run_image(self, reference: str, *command: str) -> str:
        """What `command` prints in a working container of the image; the container is removed."""
        container = (await self.buildah("from", "--pull-never", reference)).stdout.strip()
        try:
            return (await self.buildah("run", container, "--", *command)).stdout
        finally:
            await self.buildah("rm", container)
