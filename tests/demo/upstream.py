"""`Upstream`: where the demo's image comes from, and how many bytes of it were read there.

A registry of our own is measured by its own log: what it sent, not what the agents say they received. One out in the
world keeps its log to itself; there the agents' counts must do.
"""

import json
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from agent.content.digest import Digest
from agent.content.reference import Reference, Repository
from tests.clients.daemon import open_daemon
from tests.clients.registry import open_registry
from tests.fakes.images import Image
from tests.fakes.publish import push_image

Kind = Literal["docker-registry", "fake"]

_REGISTRY = "demo.example"
_FAKE = (sys.executable, "-m", "tests.fakes.upstream")
_LOOPBACK = ("localhost", "127.")


@dataclass(frozen=True, slots=True)
class Upstream:
    """`upstreams`: the agents' setting. `digest`: what the reference must be, where we know it. `bytes_sent`: bodies
    of blobs and manifests so far; None where only the agents can tell."""

    title: str
    reference: Reference
    upstreams: str
    digest: Digest | None = None
    bytes_sent: Callable[[], int] | None = None
    wants_credentials: bool = False


def usual_kind() -> Kind:
    """The real one where it is installed."""
    return "docker-registry" if shutil.which("docker-registry") else "fake"


def public_upstream(reference: Reference) -> Upstream:
    """The reference's own registry; plain HTTP on loopback, as Docker does it."""
    registry = reference.repository.registry
    plain = registry.startswith(_LOOPBACK)
    upstreams = f"{registry}=http://{registry}" if plain else registry
    return Upstream(f"{registry}, with your credentials", reference, upstreams, wants_credentials=True)


@asynccontextmanager
async def open_own_upstream(kind: Kind, image: Image, name: str, directory: Path) -> AsyncIterator[Upstream]:
    """A registry process with `image` pushed to it. Raises DaemonFailed."""
    opened = _open_docker_registry(directory) if kind == "docker-registry" else _open_fake(directory)
    async with opened as (title, url, bytes_sent):
        repository, _, tag = name.partition(":")
        await push_image(image, url, repository, tag)
        reference = Reference(Repository.of(_REGISTRY, repository), tag, None)
        yield Upstream(title, reference, f"{_REGISTRY}={url}", image.manifest.digest, bytes_sent)


_Opened = tuple[str, str, Callable[[], int]]


@asynccontextmanager
async def _open_docker_registry(directory: Path) -> AsyncIterator[_Opened]:
    async with open_registry(directory) as registry:

        def bytes_sent() -> int:
            return sum(
                request.bytes
                for request in registry.requests()
                if _is_content(request.method, request.uri, request.status)
            )

        yield f"docker-registry on {registry.authority}", registry.url, bytes_sent


@asynccontextmanager
async def _open_fake(directory: Path) -> AsyncIterator[_Opened]:
    directory.mkdir(parents=True)
    record = directory / "record"
    record.touch()
    options: list[str | Path] = ["--directory", directory / "data", "--log", record]
    listening = r'"url": "([^"]+)"'
    async with open_daemon([*_FAKE, *options], log=directory / "log", ready=listening) as daemon:
        url = (await daemon.wait_log(listening)).group(1)

        def bytes_sent() -> int:
            entries = map(json.loads, record.read_text().splitlines())
            return sum(
                entry["bytes_sent"]
                for entry in entries
                if _is_content(entry["method"], entry["path"], entry["status"])
            )

        yield f"the tests' own registry on {url.removeprefix('http://')}", url, bytes_sent


def _is_content(method: str, path: str, status: int) -> bool:
    return method == "GET" and status in (200, 206) and ("/blobs/" in path or "/manifests/" in path)
