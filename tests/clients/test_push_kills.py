"""kill -9 of an agent, again and again, while many clients push and pull: what was acknowledged is there, and whole."""

import hashlib
import json
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
import trio

from agent.content.digest import Digest
from agent.content.media_types import OCI_MANIFEST
from tests.clients.scratch import open_scratch
from tests.clients.shoal_node import ShoalNode, open_shoal

NOBODY = "http://127.0.0.1:1"
PUSHERS = 20
KILLING_SECONDS = 10.0
LIFE_SECONDS = 1.0
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


@dataclass
class Pushed:
    """What the agent said 201 to: blobs by repository, manifests by repository and reference."""

    blobs: set[tuple[str, Digest]] = field(default_factory=set)
    manifests: dict[tuple[str, str], bytes] = field(default_factory=dict)
    failures: int = 0
    pulls: int = 0


async def keep_pushing(url: str, number: int, pushed: Pushed) -> None:
    rng = random.Random(number)
    name = f"team/app{number % 5}"
    async with httpx.AsyncClient(base_url=url, timeout=10) as client:
        for count in range(1_000_000):
            try:
                await push_one(client, rng, name, f"t{number}-{count}", pushed)
            except (httpx.HTTPError, Refused):
                pushed.failures += 1
                await trio.sleep(0.05)


class Refused(Exception):
    pass


async def push_one(
    client: httpx.AsyncClient, rng: random.Random, name: str, tag: str, pushed: Pushed
) -> None:
    layer, config = rng.randbytes(rng.randrange(1, 300_000)), json.dumps({"os": "linux", "tag": tag}).encode()
    for content in (layer, config):
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


async def keep_pulling(url: str, number: int, pushed: Pushed) -> None:
    """Whatever is answered about an acknowledged push, at any moment, is right."""
    rng = random.Random(-number)
    async with httpx.AsyncClient(base_url=url, timeout=10) as client:
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


# Where a server dies in the middle httpx leaves what it was sending to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.real("curl")  # real processes; of the components, none but the smallest
async def test_no_acknowledged_push_is_lost_however_often_the_agent_is_killed() -> None:
    pushed, kills, port = Pushed(), 0, free_port()
    url = f"http://127.0.0.1:{port}"
    with open_scratch() as scratch:
        async with trio.open_nursery() as nursery:
            for number in range(PUSHERS):
                nursery.start_soon(keep_pushing, url, number, pushed)
                nursery.start_soon(keep_pulling, url, number, pushed)
            until = trio.current_time() + KILLING_SECONDS
            while trio.current_time() < until:
                async with open_agent(scratch, port) as node:
                    await trio.sleep(LIFE_SECONDS)
                    await node.daemon.kill()
                    kills += 1
            nursery.cancel_scope.cancel()
        print(
            f"{kills} kills, {len(pushed.manifests) // 2} images, {pushed.failures} failures, {pushed.pulls} pulls"
        )
        async with open_agent(scratch, port) as node, httpx.AsyncClient(base_url=url) as client:
            await check_all(client, node, pushed)
    assert len(pushed.manifests) > PUSHERS
    assert pushed.failures
    assert pushed.pulls


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
