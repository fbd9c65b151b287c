"""The builders: `shoal build`, Docker's BuildKit and its classic builder, buildah; each makes an archive of a case."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import trio

from tests.builder.corpus.case import Case
from tests.builder.corpus.comparison import Outcome
from tests.builder.corpus.image_facts import image_facts
from tests.clients.buildah import Buildah
from tests.clients.command import Output, run
from tests.clients.docker_engine import DockerEngine, open_docker_engine


class Engine(Protocol):
    async def load(self, image: Path) -> None:
        """A base image, an archive."""

    async def build(self, case: Case, directory: Path, flags: Sequence[str]) -> Outcome:
        """directory: the case's context."""


@dataclass(slots=True)
class ShoalEngine:
    """`process`: forked_shoal.py."""

    directory: Path
    process: "subprocess.Popen[str]"
    lock: trio.Lock = field(default_factory=trio.Lock)

    async def load(self, image: Path) -> None:
        await self.shoal(["load", "-q", "-i", str(image)], self.directory)

    async def build(self, case: Case, directory: Path, flags: Sequence[str]) -> Outcome:
        archive = self.directory / f"{case.slug}.tar"
        output = ["--output", f"type=docker,dest={archive}", "--progress", "plain"]
        code, said = await self._run(["build", *output, *_network(flags), *flags, "."], directory)
        return await outcome_of(code, said, archive)

    async def shoal(self, arguments: Sequence[str], directory: Path) -> str:
        code, said = await self._run(arguments, directory)
        assert code == 0, said
        return said

    async def _run(self, arguments: Sequence[str], directory: Path) -> tuple[int, str]:
        async with self.lock:
            said = self.directory / "said"
            line = {"arguments": arguments, "directory": str(directory), "output": str(said)}
            code = await trio.to_thread.run_sync(self._exchange, json.dumps(line))
            return code, said.read_text(errors="replace")

    def _exchange(self, line: str) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())


@dataclass(frozen=True, slots=True)
class Docker:
    """buildkit: "1" or "0", as DOCKER_BUILDKIT has it."""

    engine: DockerEngine
    buildkit: str

    async def load(self, image: Path) -> None:
        if self.buildkit == "1":  # one engine, two builders
            await self.engine.docker("load", "-q", "-i", image)

    async def build(self, case: Case, directory: Path, flags: Sequence[str]) -> Outcome:
        name = f"{case.slug}-{self.buildkit}"
        archive = self.engine.directory / f"{name}.tar"
        environment = {
            "DOCKER_HOST": f"unix://{self.engine.socket}",
            "DOCKER_CONFIG": str(self.engine.directory / "client"),
            "DOCKER_BUILDKIT": self.buildkit,
        }
        progress = ["--progress", "plain"] if self.buildkit == "1" else []
        command = ["build", *progress, *_network(flags), *flags, "-t", name, "."]
        done = await run_in(directory, ["/usr/bin/docker", *command], environment)
        if done.exit_code == 0:
            done = await self.engine.docker("save", "-o", archive, name, check=False)
        return await outcome_of(done.exit_code, done.stdout + done.stderr, archive)


@dataclass(frozen=True, slots=True)
class BuildahEngine:
    """Each step in a chroot, one layer for all of them."""

    buildah: Buildah

    async def load(self, image: Path) -> None:
        await self.buildah.pull(f"docker-archive:{image}", "-q")

    async def build(self, case: Case, directory: Path, flags: Sequence[str]) -> Outcome:
        archive = self.buildah.directory / f"{case.slug}.tar"
        target = ["-t", f"docker-archive:{archive}:{case.slug}:1"]
        common = ["bud", "--format", "docker", "--pull-never", "--identity-label=false", *target]
        environment = self.buildah.environment()
        command = ["/usr/bin/buildah", *common, *flags, "."]
        done = await run_in(directory, command, environment)
        return await outcome_of(done.exit_code, done.stdout + done.stderr, archive)


def _network(flags: Sequence[str]) -> list[str]:
    """The engine has no bridge; a case that is about networks says which it wants."""
    return [] if any(flag.startswith("--network") for flag in flags) else ["--network", "none"]


async def run_in(directory: Path, command: Sequence[str], environment: Mapping[str, str]) -> Output:
    prefix = ["/usr/bin/env", "-C", str(directory)]
    return await run(*prefix, *command, environment=environment, check=False, deadline_seconds=120)


async def outcome_of(code: int, said: str, archive: Path) -> Outcome:
    if code != 0:
        return Outcome(None, said)
    facts = await trio.to_thread.run_sync(image_facts, archive)
    archive.unlink()
    return Outcome(facts, said)


@asynccontextmanager
async def open_shoal_engine(directory: Path) -> AsyncIterator[ShoalEngine]:
    directory.mkdir(parents=True)
    environment = {
        **os.environ,
        "SHOAL_NODE_DATA_DIR": str(directory / "data"),
        "SHOAL_STORE_FLOOR_FREE": "0",
        "SHOAL_CONFIG": os.devnull,
    }
    with subprocess.Popen(
        [sys.executable, "-m", "tests.builder.corpus.forked_shoal"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stdout is not None
        await trio.to_thread.run_sync(process.stdout.readline)
        yield ShoalEngine(directory, process)


@asynccontextmanager
async def open_engines(names: Sequence[str], directory: Path) -> AsyncIterator[dict[str, Engine]]:
    """Those of `names`."""
    engines: dict[str, Engine] = {}
    if "buildah" in names:
        engines["buildah"] = BuildahEngine(Buildah.in_directory(directory / "buildah"))
    if not {"buildkit", "classic"} & {*names}:
        yield engines
        return
    async with open_docker_engine(directory / "docker") as docker:
        engines |= {
            name: Docker(docker, kind)
            for name, kind in (("buildkit", "1"), ("classic", "0"))
            if name in names or name == "buildkit"
        }
        yield engines
