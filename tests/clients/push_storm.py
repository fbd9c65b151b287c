"""`rage`: many clients push and pull while their agent is killed with kill -9, again and again.

What was acknowledged has to be there, and whole, at any moment after, and in the end `shoal store verify` is clean. A
client whose push breaks goes on with it, as engines do. Used by a short test, and at length by
`python -m tests.bench.push_storm`.
"""

import hashlib
import json
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import trio

from agent.content.digest import Digest
from agent.content.media_types import OCI_MANIFEST
from tests.clients.shoal_command import ShoalCommand
from tests.clients.shoal_node import ShoalNode, open_shoal

NOBODY = "http://127.0.0.1:1"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


@dataclass(frozen=True)
class Storm:
    """`clients`: half of them push, half pull. `life_seconds`: of an agent, before it is killed."""

    clients: int
    seconds: float
    life_seconds: float


@dataclass
class Pushed:
    """What the agent said 201 to: blobs by repository, manifests by repository and reference."""

    blobs: set[tuple[str, Digest]] = field(default_factory=set)
    manifests: dict[tuple[str, str], bytes] = field(default_factory=dict)
    failures: int = 0
    pulls: int = 0
    kills: int = 0

    @property
    def images(self) -> int:
        return len(self.manifests) // 2

    def __str__(self) -> str:
        return (
            f"{self.kills} kills, {self.images} images acknowledged, {self.failures} requests broken off, "
            f"{self.pulls} pulls right"
        )


async def keep_pushing(client: httpx.AsyncClient, number: int, pushed: Pushed) -> None:
    rng = random.Random(number)
    name = f"team/app{number % 5}"
    for count in range(1_000_000):
        tag = f"t{number}-{count}"
        layer = rng.randbytes(rng.randrange(1, 300_000))
        config = json.dumps({"os": "linux", "tag": tag}).encode()
        while True:
            try:
                await push_one(client, rng, name, tag, (layer, config), pushed)
                break
            except (httpx.HTTPError, Refused):
                pushed.failures += 1
                await trio.sleep(0.1)


class Refused(Exception):
    pass


async def push_one(
    client: httpx.AsyncClient,
    rng: random.Random,
    name: str,
    tag: str,
    contents: tuple[bytes, bytes],
    pushed: Pushed,
) -> None:
    layer, config = contents
    for content in contents:
        if (name, Digest.of(content)) not in pushed.blobs:
            await push_blob(client, name, content, rng.random() < 0.5)
            pushed.blobs.add((name, Digest.of(content)))
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {"mediaType": CONFIG, "digest": str(Digest.of(config)), "size": len(config)},
            "layers": [{"mediaType": LAYER, "digest": str(Digest.of(layer)), "size": len(layer)}],
        }
    ).encode()
    check(
        await client.put(
            f"/v2/{name}/manifests/{tag}", content=manifest, headers={"Content-Type": OCI_MANIFEST}
        ),
        201,
    )
    pushed.manifests[name, tag] = manifest
    pushed.manifests[name, str(Digest.of(manifest))] = manifest


async def keep_pulling(client: httpx.AsyncClient, number: int, pushed: Pushed) -> None:
    """Whatever is answered about an acknowledged push, at any moment, is right."""
    rng = random.Random(-number)
    while True:
        if not pushed.manifests:
            await trio.sleep(0.05)
            continue
        (name, reference), body = rng.choice(list(pushed.manifests.items()))
        layer = json.loads(body)["layers"][0]["digest"]
        try:
            manifest = await client.get(f"/v2/{name}/manifests/{reference}")
            content = await client.get(f"/v2/{name}/blobs/{layer}")
        except httpx.HTTPError:
            await trio.sleep(0.05)
            continue
        assert (manifest.status_code, manifest.content) == (200, body), manifest.text
        assert content.status_code == 200, content.text
        assert str(Digest.of(content.content)) == layer
        pushed.pulls += 1


async def push_blob(client: httpx.AsyncClient, name: str, content: bytes, in_chunks: bool) -> None:
    location = check(await client.post(f"/v2/{name}/blobs/uploads/"), 202).headers["location"]
    rest = content
    if in_chunks:
        half = len(content) // 2
        check(await client.patch(location, content=content[:half]), 202)
        rest = content[half:]
    check(await client.put(f"{location}?digest={Digest.of(content)}", content=rest), 201)


def check(answer: httpx.Response, status: int) -> httpx.Response:
    if answer.status_code != status:
        raise Refused(answer.text)
    return answer


@asynccontextmanager
async def open_agent(scratch: Path, port: int) -> AsyncIterator[ShoalNode]:
    async with open_shoal(scratch / "n", NOBODY, proxy__listen=f"127.0.0.1:{port}") as node:
        yield node


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def with_client(
    url: str, work: Callable[[httpx.AsyncClient, int, Pushed], Awaitable[None]], number: int, pushed: Pushed
) -> None:
    """A pool of its own for each: one for all spends its time on looking for a connection that is free."""
    async with httpx.AsyncClient(base_url=url, timeout=10, verify=False) as client:  # noqa: S501 (plain HTTP)
        await work(client, number, pushed)


async def rage(scratch: Path, storm: Storm) -> Pushed:
    """All of it, and the check of what was acknowledged."""
    pushed, port = Pushed(), free_port()
    url = f"http://127.0.0.1:{port}"
    async with trio.open_nursery() as nursery:
        for number in range(storm.clients // 2):
            nursery.start_soon(with_client, url, keep_pushing, number, pushed)
            nursery.start_soon(with_client, url, keep_pulling, number, pushed)
        until = trio.current_time() + storm.seconds
        while trio.current_time() < until:
            async with open_agent(scratch, port) as node:
                await trio.sleep(storm.life_seconds)
                await node.daemon.kill()
                pushed.kills += 1
        nursery.cancel_scope.cancel()
    async with open_agent(scratch, port) as node, httpx.AsyncClient(base_url=url, timeout=30) as client:
        await check_all(client, node, pushed)
    verified = await ShoalCommand(scratch / "n").shoal("store", "verify", check=False)
    assert verified.exit_code == 0, verified.stdout + verified.stderr
    return pushed


async def check_all(client: httpx.AsyncClient, node: ShoalNode, pushed: Pushed) -> None:
    for (name, reference), body in pushed.manifests.items():
        answer = await client.get(f"/v2/{name}/manifests/{reference}")
        assert (answer.status_code, answer.content) == (200, body), (name, reference, answer.text)
    for name, digest in pushed.blobs:
        answer = await client.get(f"/v2/{name}/blobs/{digest}")
        assert answer.status_code == 200
        assert Digest.of(answer.content) == digest
    for blob in (node.directory / "store" / "blobs" / "sha256").iterdir():
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name
