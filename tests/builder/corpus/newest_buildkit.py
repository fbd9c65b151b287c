"""BuildKit on its own, of whatever version `buildkitd` and `buildctl` on PATH have: today's language, which Docker's
20.10 lacks. No test needs it; `python -m tests.builder.corpus --engine buildkitd` asks it.
"""

import json
import tarfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.builder.corpus.case import Case
from tests.builder.corpus.comparison import Outcome
from tests.builder.corpus.engines import outcome_of, run_in
from tests.clients.daemon import open_daemon

_OPTIONS = {
    "--target": "target",
    "--network": "force-network-mode",
    "--platform": "platform",
    "-f": "filename",
}


@dataclass(frozen=True, slots=True)
class NewestBuildKit:
    """layouts: OCI layouts of the base images, by name, with the digest of each."""

    directory: Path
    layouts: dict[str, tuple[Path, str]] = field(default_factory=dict)

    async def load(self, image: Path) -> None:
        layout = self.directory / image.stem
        with tarfile.open(image) as archive:  # it is a layout, too
            archive.extractall(layout, filter="data")
        index = json.loads((layout / "index.json").read_text())
        self.layouts[image.stem] = (layout, index["manifests"][0]["digest"])

    async def build(self, case: Case, directory: Path, flags: Sequence[str]) -> Outcome:
        archive = self.directory / f"{case.slug}.tar"
        local = ["--local", "context=.", "--local", "dockerfile=."]
        bases = [part for name in self.layouts for part in self._base(name)]
        output = ["--output", f"type=docker,dest={archive},name={case.slug}", "--progress", "plain"]
        command = [
            "buildctl",
            "--addr",
            f"unix://{self.directory}/socket",
            "build",
            "--frontend",
            "dockerfile.v0",
        ]
        options = list(_options(flags))
        done = await run_in(directory, [*command, *local, *bases, *output, *options], {})
        return await outcome_of(done.exit_code, done.stdout + done.stderr, archive)

    def _base(self, name: str) -> list[str]:
        layout, digest = self.layouts[name]
        return ["--oci-layout", f"{name}={layout}", "--opt", f"context:{name}=oci-layout://{name}@{digest}"]


def _options(flags: Sequence[str]) -> Iterator[str]:
    """Docker's flags as buildctl has them."""
    words = [part for flag in flags for part in (flag.split("=", 1) if flag.startswith("--") else [flag])]
    yield from () if "--network" in words else ("--opt", "force-network-mode=none")
    following = iter(words)
    for word in following:
        if word in _OPTIONS:
            yield from ("--opt", f"{_OPTIONS[word]}={next(following)}")
        elif word == "--add-host":
            yield from ("--opt", f"add-hosts={next(following).replace(':', '=', 1)}")
        elif word in ("--build-arg", "--label"):
            yield from ("--opt", f"{word[2:]}:{next(following)}")
        elif word == "--build-context":
            name, _, where = next(following).partition("=")
            yield from ("--local", f"{name}={where}", "--opt", f"context:{name}=local:{name}")
        elif word in ("--secret", "--ssh"):
            yield from (word, next(following))
        elif word == "--no-cache":
            yield word
        else:
            raise ValueError(f"no such flag of buildctl: {word}")


@asynccontextmanager
async def open_newest_buildkit(directory: Path) -> AsyncIterator[NewestBuildKit]:
    directory.mkdir(parents=True)
    address = f"unix://{directory}/socket"
    command: list[str | Path] = ["buildkitd", "--root", directory / "root", "--addr", address]
    worker = ["--containerd-worker=false", "--oci-worker-net=host", "--oci-cni-config-path=/nowhere"]
    async with open_daemon([*command, *worker], log=directory / "log", ready="running server on"):
        yield NewestBuildKit(directory)
