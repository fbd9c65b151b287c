"""kill -9 of an agent or of the tracker, in the middle of what they do."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import trio

from agent.content.chunk_map import ChunkMap
from agent.content.errors import SourceError
from tests.clients.scratch import open_scratch
from tests.clients.shoal_node import REGISTRY, ShoalNode, open_shoal, open_tracker
from tests.clients.waiting import wait_until
from tests.fakes.images import pseudo_random
from tests.fakes.upstream import FakeImage, FakeUpstream, open_upstream

MIB = 1024 * 1024
REFERENCE = f"{REGISTRY}/library/app"
CHUNKS_ON_THEIR_WAY = 8
AGENTS = 4

pytestmark = pytest.mark.real("curl")  # real processes; of the components, none but the smallest


def add_image(upstream: FakeUpstream, tag: str, *sizes: int) -> FakeImage:
    layers = [b"".join(pseudo_random(f"{tag} {size}", size)) for size in sizes]
    return upstream.add_image("library/app", tag, layers)


def holds(node: ShoalNode, image: FakeImage) -> bool:
    """The bytes on disk are what the digests say."""
    digests = [image.digest, *image.layer_digests]
    return all(node.blob_sha256(digest) == digest.hex for digest in digests)


async def received(node: ShoalNode) -> int:
    totals = (await node.status())["traffic"]["total_bytes"]
    return int(totals["registry_in"] + totals["peers_in"])


async def test_an_agent_killed_in_mid_pull_does_not_fetch_again_what_it_had_verified(tmp_path: Path) -> None:
    with open_scratch() as scratch:
        async with open_upstream() as upstream:
            image = add_image(upstream, "latest", 24 * MIB, 8 * MIB)
            upstream.bytes_per_second = 8 * MIB
            async with open_shoal(scratch / "n", upstream.url) as node, trio.open_nursery() as nursery:
                nursery.start_soon(pull_and_be_killed, node)
                await wait_until(lambda: has_received(node, image.size // 2), 60)
                await node.daemon.kill()
            upstream.bytes_per_second = None
            async with open_shoal(scratch / "n", upstream.url) as node:
                assert (await node.pull(REFERENCE))["outcome"] == "done"
                again = await received(node)
                assert holds(node, image)
            print(f"{image.size} bytes, {again} after the restart, {upstream.bytes_sent()} in all")
            assert again < image.size * 0.6
            spare = CHUNKS_ON_THEIR_WAY * ChunkMap.of(24 * MIB).chunk_bytes
            assert upstream.bytes_sent() <= image.size + spare


async def pull_and_be_killed(node: ShoalNode) -> None:
    with pytest.raises(SourceError):
        await node.pull(REFERENCE)


async def has_received(node: ShoalNode, count: int) -> bool:
    return await received(node) >= count


@asynccontextmanager
async def open_agents(
    scratch: Path, upstream: FakeUpstream, tracker_url: str
) -> AsyncIterator[list[ShoalNode]]:
    async with AsyncExitStack() as stack:
        agents = []
        for number in range(AGENTS):
            agent = open_shoal(scratch / f"n{number}", upstream.url, command="agent", tracker_url=tracker_url)
            agents.append(await stack.enter_async_context(agent))
        yield agents


async def test_a_tracker_killed_in_mid_rollout_fails_no_pull_and_is_found_again(tmp_path: Path) -> None:
    with open_scratch() as scratch:
        async with open_upstream() as upstream, AsyncExitStack() as stack:
            image = add_image(upstream, "latest", 30 * MIB, 12 * MIB, 1 * MIB, 1000)
            later = add_image(upstream, "later", 9 * MIB, 2000)
            upstream.bytes_per_second = 16 * MIB
            tracker = await stack.enter_async_context(open_tracker(scratch / "tracker.log"))
            agents = await stack.enter_async_context(open_agents(scratch, upstream, tracker.url))
            async with trio.open_nursery() as nursery:
                for agent in agents:
                    nursery.start_soon(pull_whole, agent, "latest")
                await wait_until(lambda: has_received(agents[0], image.size // 4), 60)
                await tracker.daemon.kill()
            assert all(holds(agent, image) for agent in agents)
            assert not any([await reaches_its_tracker(agent) for agent in agents])
            print(f"{upstream.bytes_sent() / image.size:.3f} copies without a tracker")
            reborn = open_tracker(scratch / "tracker2.log", tracker__listen=f"127.0.0.1:{tracker.port}")
            await stack.enter_async_context(reborn)
            for agent in agents:
                await wait_until(lambda agent=agent: reaches_its_tracker(agent), 30)
            before = upstream.bytes_sent()
            async with trio.open_nursery() as nursery:
                for agent in agents:
                    nursery.start_soon(pull_whole, agent, "later")
            assert all(holds(agent, later) for agent in agents)
            assert upstream.bytes_sent() - before <= 1.1 * later.size


async def pull_whole(agent: ShoalNode, tag: str) -> None:
    outcome = await agent.pull(f"{REFERENCE}:{tag}")
    assert outcome["outcome"] == "done", outcome


async def reaches_its_tracker(agent: ShoalNode) -> bool:
    return bool((await agent.status())["tracker"]["reached"])
