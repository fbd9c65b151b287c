"""What a client sees of a download that still runs, and what is left of one that it walked away from.

The upstream is a fake one in this process, so that it can be slow and one clock tells when it sent what.
"""

import statistics
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from agent.content.chunk_map import ChunkMap
from agent.content.digest import Digest
from tests.clients.shoal_node import ShoalNode, open_shoal
from tests.clients.waiting import wait_until
from tests.fakes.http_peer import HttpPeer
from tests.fakes.images import pseudo_random
from tests.fakes.upstream import FakeUpstream, Fault, open_upstream

KIB, MIB = 1024, 1024 * 1024
FIRST_BYTE_SECONDS = 0.05
LINGER_SECONDS = 1

pytestmark = pytest.mark.real("curl")  # real processes; of the components, none but the smallest


@asynccontextmanager
async def open_world(scratch: Path) -> AsyncIterator[tuple[FakeUpstream, ShoalNode]]:
    async with (
        open_upstream() as upstream,
        open_shoal(scratch / "shoal", upstream.url, store__linger=f"{LINGER_SECONDS}s") as node,
    ):
        yield upstream, node


def add_blob(upstream: FakeUpstream, seed: str, size: int) -> tuple[Digest, bytes]:
    data = b"".join(pseudo_random(seed, size))
    return upstream.shelf.add_blob(data), data


@asynccontextmanager
async def asking(node: ShoalNode, digest: Digest, *fields: str) -> AsyncIterator[HttpPeer]:
    """A client that has sent its request for a blob; it hangs up at the end of the block."""
    async with await trio.open_tcp_stream(node.host, node.port) as stream:
        client = HttpPeer(stream)
        await client.send_request(f"/v2/library/app/blobs/{digest}", *fields)
        yield client


async def test_the_first_bytes_of_a_cold_blob_are_passed_on_as_soon_as_they_are_here(scratch: Path) -> None:
    """The upstream sends one chunk, and then nothing more. Time counts from there, so the agent's check is in it."""
    latencies = []
    chunk_bytes = ChunkMap.of(MIB).chunk_bytes
    async with open_world(scratch) as (upstream, node):
        upstream.faults.add(Fault(stall_after_bytes=chunk_bytes), match="/blobs/")
        for number in range(9):
            digest, data = add_blob(upstream, f"cold {number}", MIB)
            async with asking(node, digest) as client:
                sent_at = await when_sent(upstream, digest, chunk_bytes)
                assert "200 OK" in await client.receive_head()
                assert await client.receive_exactly(1) == data[:1]
                latencies.append(trio.current_time() - sent_at)
                assert await client.receive_exactly(chunk_bytes - 1) == data[1:chunk_bytes]
    print(f"first byte after {sorted(round(seconds * 1000, 1) for seconds in latencies)} ms")
    assert statistics.median(latencies) <= FIRST_BYTE_SECONDS


async def when_sent(upstream: FakeUpstream, digest: Digest, count: int) -> float:
    with trio.fail_after(10):
        while upstream.bytes_sent(str(digest)) < count:
            await trio.sleep(0.0005)
    return trio.current_time()


async def test_ranges_of_a_blob_are_served_while_it_still_comes(scratch: Path) -> None:
    async with open_world(scratch) as (upstream, node):
        digest, data = add_blob(upstream, "slow", 64 * MIB)
        upstream.bytes_per_second = MIB
        async with asking(node, digest) as reader:
            assert f"content-length: {len(data)}" in (await reader.receive_head()).lower()
            for start, stop in ((0, 100 * KIB), (1000, 1001), (600 * KIB, MIB + 17)):
                async with asking(node, digest, f"Range: bytes={start}-{stop - 1}") as client:
                    answer = await client.receive()
                assert answer.status == 206
                assert answer.header("content-range") == f"bytes {start}-{stop - 1}/{len(data)}"
                assert answer.body == data[start:stop]
            (download,) = (await node.status())["downloads"]
            assert download["registry_bytes"] < len(data) / 4
        assert upstream.bytes_sent(str(digest)) < len(data) / 4


async def test_clients_share_one_download_and_those_who_leave_cost_the_others_nothing(scratch: Path) -> None:
    async with open_world(scratch) as (upstream, node):
        digest, data = add_blob(upstream, "shared", 12 * MIB)
        upstream.bytes_per_second = 4 * MIB
        bodies: list[bytes] = []
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(read_all, node, digest, bodies)
            for number in range(10):
                nursery.start_soon(read_and_leave, node, digest, (number + 1) * 300 * KIB)
        assert bodies == [data] * 3
        assert upstream.bytes_sent(str(digest)) == len(data)
        assert (await node.status())["traffic"]["total_bytes"]["registry_in"] == len(data)


async def test_when_all_clients_have_left_nothing_is_left_behind(scratch: Path) -> None:
    async with open_world(scratch) as (upstream, node):
        upstream.bytes_per_second = 2 * MIB
        digest, _ = add_blob(upstream, "left", 24 * MIB)
        files_before = node.open_files()
        async with trio.open_nursery() as nursery:
            for number in range(10):
                nursery.start_soon(read_and_leave, node, digest, (number + 1) * 100 * KIB)
        await wait_until(lambda: nothing_runs(node), LINGER_SECONDS + 10)
        await wait_until(lambda: node.open_files() == files_before)


async def nothing_runs(node: ShoalNode) -> bool:
    status = await node.status()
    return not status["downloads"] and not status["swarms"]


async def read_all(node: ShoalNode, digest: Digest, bodies: list[bytes]) -> None:
    async with asking(node, digest) as client:
        bodies.append((await client.receive()).body)


async def read_and_leave(node: ShoalNode, digest: Digest, count: int) -> None:
    async with asking(node, digest) as client:
        await client.receive_exactly(count)
