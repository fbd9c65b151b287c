"""Shared downloads: what their readers get, how they end, and that nothing of them is left behind."""

import os
from pathlib import Path

import pytest
import trio

from agent.content.digest import Digest
from agent.content.errors import ContentError
from agent.content.reference import Repository
from agent.node.blobs import BlobReader
from agent.node.node import Node
from agent.node.source import Source
from tests.agent.node.cluster import REGISTRY, open_cluster, pull
from tests.fakes.upstream import open_upstream

SMALL = bytes(range(256)) * 40
SOURCE = Source(Repository(REGISTRY, "team/app"), "blobs")


async def _read(reader: BlobReader) -> bytes:
    content = b""
    while len(content) < reader.size:
        end = await reader.wait_readable(len(content))
        content += os.pread(reader.fd, end - len(content), len(content))
    return content


async def _fetch(node: Node, content: bytes, size: int | None) -> bytes:
    """As a reader gets it; then until the download is over."""
    with trio.fail_after(10):
        async with node.blobs.open_blob(Digest.of(content), SOURCE, size) as reader:
            read = await _read(reader)
        while node.blobs.downloads:
            await trio.sleep(0.01)
        return read


async def test_a_reader_that_came_before_the_trackers_copy_of_a_small_blob_reads_the_blob(
    tmp_path: Path,
) -> None:
    async with open_upstream() as upstream:
        upstream.add_image("team/app", layers=[SMALL])
        async with open_cluster(upstream, tmp_path, 2) as cluster:
            first, late = cluster.nodes
            await pull(first, "team/app")
            await trio.sleep(0.1)  # the tracker hears of it
            assert await _fetch(late, SMALL, len(SMALL)) == SMALL
            assert all(session.swarm.is_complete for session in late.hub.sessions)
            assert late.store.usage().partials == 0
        assert len(upstream.asked(str(Digest.of(SMALL)))) == 1


async def test_a_small_blob_whose_size_was_told_wrong_fails_and_is_right_the_next_time(
    tmp_path: Path,
) -> None:
    async with open_upstream() as upstream:
        upstream.add_image("team/app", layers=[SMALL])
        async with open_cluster(upstream, tmp_path, 2) as cluster:
            first, late = cluster.nodes
            await pull(first, "team/app")
            await trio.sleep(0.1)  # the tracker hears of it
            with pytest.raises(ContentError, match=f"has {len(SMALL)} bytes, not the {len(SMALL) + 5}"):
                await _fetch(late, SMALL, len(SMALL) + 5)
            assert await _fetch(late, SMALL, None) == SMALL
            assert late.store.usage().partials == 0


async def test_an_empty_blob_is_a_blob(tmp_path: Path) -> None:
    async with open_upstream() as upstream:
        upstream.add_image("team/app", layers=[b""])
        async with open_cluster(upstream, tmp_path, 2) as cluster:
            for node in cluster.nodes:
                assert await _fetch(node, b"", 0) == b""
                await pull(node, "team/app")
