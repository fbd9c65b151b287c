"""`Skopeo`: the real skopeo with its own registries.conf."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.clients.command import Output, run
from tests.clients.registries_conf import registries_conf


@dataclass(frozen=True, slots=True)
class Skopeo:
    directory: Path

    @classmethod
    def in_directory(
        cls, directory: Path, *, mirrors: Mapping[str, str] | None = None, insecure: tuple[str, ...] = ()
    ) -> "Skopeo":
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "auth.json").write_text("{}")
        (directory / "registries.conf").write_text(registries_conf(mirrors or {}, insecure=insecure))
        return cls(directory)

    async def skopeo(
        self, *arguments: str | Path, deadline_seconds: float = 120, check: bool = True
    ) -> Output:
        return await run(
            "/usr/bin/skopeo",
            "--insecure-policy",
            "--registries-conf",
            self.directory / "registries.conf",
            *arguments,
            environment={"REGISTRY_AUTH_FILE": str(self.directory / "auth.json")},
            deadline_seconds=deadline_seconds,
            check=check,
        )

    async def copy_to_layout(self, reference: str, layout: Path, *options: str) -> Output:
        """Copies `reference` (registry/name:tag) into an OCI layout under the tag `copied`. Plain layers get compressed
        on the way and Docker's manifests converted, unless `--preserve-digests` forbids it."""
        return await self.skopeo("copy", *options, f"docker://{reference}", f"oci:{layout}:copied")

    async def copy_to_directory(self, reference: str, directory: Path, *options: str) -> Output:
        """Copies the bytes as they stand, of any kind of image: `manifest.json`, and blobs named by hex digest."""
        return await self.skopeo("copy", *options, f"docker://{reference}", f"dir:{directory}")
