"""`import_debian`: the machine's own Debian, as an image to build on: debootstrap from where apt gets its packages."""

import platform
from pathlib import Path

from tests.clients.command import run
from tests.clients.docker_engine import DockerEngine


async def import_debian(engine: DockerEngine, directory: Path, name: str) -> None:
    """Takes some 30 s and 400 MB in `directory`."""
    root, archive = directory / "debian", directory / "debian.tar"
    suite = platform.freedesktop_os_release()["VERSION_CODENAME"]
    await run("debootstrap", "--variant=minbase", suite, root, await _mirror(suite), deadline_seconds=200)
    await run("tar", "--directory", root, "--create", "--file", archive, ".")
    await engine.docker("import", archive, name)


async def _mirror(suite: str) -> str:
    """The first archive that apt uses for this suite's packages."""
    targets = await run("apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME) $(ORIGIN)")
    lines = [line.split(maxsplit=2) for line in targets.stdout.splitlines()]
    return next(line[0] for line in lines if line[1:] == [suite, "Debian"])
