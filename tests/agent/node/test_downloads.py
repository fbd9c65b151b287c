"""Shared downloads: what their readers get, how they end, and that nothing of them is left behind."""

import json
import os
from base64 import b64encode
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from agent.content.digest import Digest
from agent.content.errors import ContentError, DiskError, SourceError
from agent.content.reference import Repository
from agent.node.blobs import BlobReader
from agent.node.node import Node, open_node
from agent.node.source import Source
from agent.store.partial import PartialBlob
from agent.telemetry.metrics import Metrics
from agent.wire.tracker_calls import Lease
from tests.agent.node.cluster import (
    IMPATIENT,
    REGISTRY,
    Cluster,
    node_settings,
    open_cluster,
    open_tracker,
    pull,
)
from tests.fakes.upstream import open_upstream
from tests.fakes.upstream_auth import DOCKER_HUB

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


class FullDisk:
    """Chunks of one blob find no room."""

    def __init__(self, size: int) -> None:
        self.size = size

    async def __call__(self, work: Any, *args: Any) -> Any:
        await trio.lowlevel.checkpoint()
        done = work(*args)
        if isinstance(done, PartialBlob) and done.map.size == self.size:
            vars(done)["write_chunk"] = self._fail
        return done

    def _fail(self, *_: object) -> bytes:
        raise DiskError("no space left on the device")


async def test_a_full_disk_fails_the_pull_that_needs_it_and_no_other(tmp_path: Path) -> None:
    big, other = os.urandom(200_000), os.urandom(150_000)
    async with open_upstream() as upstream, open_tracker() as tracker_url:
        upstream.add_image("team/app", layers=[big])
        upstream.add_image("team/other", layers=[other])
        settings = node_settings(tmp_path / "node", upstream.url, tracker_url)
        disk = FullDisk(len(big))
        async with open_node(settings, Metrics([REGISTRY]), disk, IMPATIENT) as node:
            with trio.fail_after(10):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(pull, node, "team/other")
                    with pytest.raises(DiskError, match="no space left"):
                        await pull(node, "team/app")
                disk.size = -1
                await pull(node, "team/app")
            assert node.store.read(Digest.of(big), len(big)) == big
            assert node.store.read(Digest.of(other), len(other)) == other
            assert node.store.usage().partials == 0


async def test_a_node_that_the_registry_refuses_gets_the_blob_from_the_swarm(tmp_path: Path) -> None:
    layer = os.urandom(1_000_000)
    (tmp_path / "auth.json").write_text("{}")
    async with open_upstream(auth=replace(DOCKER_HUB, anonymous=False)) as upstream:
        image = upstream.add_image("team/app", layers=[layer])
        known = {"auths": {REGISTRY: {"auth": b64encode(b"user:secret").decode()}}}
        (tmp_path / "known.json").write_text(json.dumps(known))
        async with open_tracker() as url:
            cluster = Cluster(upstream, url, tmp_path)
            files = [str(tmp_path / name) for name in ("known.json", "auth.json")]
            async with (
                cluster.open_node("welcome", credentials__docker_config=files[0]) as welcome,
                cluster.open_node("refused", credentials__docker_config=files[1]) as refused,
            ):
                with trio.fail_after(10):
                    await welcome.images.get_document(SOURCE.repository, image.digest)
                    async with trio.open_nursery() as nursery:
                        upstream.bytes_per_second = 2_000_000
                        nursery.start_soon(_fetch, welcome, layer, len(layer))
                        assert await _fetch(refused, layer, len(layer)) == layer
                assert refused.traffic.totals["registry_in"] == 0


async def test_a_download_that_nobody_comes_for_stops_and_goes_on_when_somebody_does(tmp_path: Path) -> None:
    layer = os.urandom(2_000_000)
    async with open_upstream() as upstream:
        upstream.add_image("team/app", layers=[layer])
        upstream.bytes_per_second = 4_000_000
        async with open_cluster(upstream, tmp_path, 1, store__linger="50ms") as cluster:
            node = cluster.nodes[0]
            node.blobs.prefetch(Digest.of(layer), SOURCE, len(layer), 0.25)
            with trio.fail_after(5):
                while node.blobs.downloads:
                    await trio.sleep(0.01)
            assert node.store.size_of(Digest.of(layer)) is None
            async with node.blobs.open_download(Digest.of(layer), SOURCE, len(layer)):
                await trio.sleep(0.05)
            node.blobs.prefetch(Digest.of(layer), SOURCE, len(layer), 0.01)  # it lingers: nothing begins
            assert await _fetch(node, layer, len(layer)) == layer
        assert upstream.bytes_sent(str(Digest.of(layer))) < 1.6 * len(layer)
        assert not node.hub.links.all


async def test_a_pull_that_the_end_of_the_node_interrupts_is_a_plain_failure(tmp_path: Path) -> None:
    async with open_upstream() as upstream:
        image = upstream.add_image("team/app", layers=[SMALL])
        async with open_cluster(upstream, tmp_path, 1) as cluster:
            node = cluster.nodes[0]
            await node.images.load_document(SOURCE.repository, image.digest)
            node.blobs._nursery = None  # as on its way down
            with pytest.raises(SourceError, match="shutting down"):
                await pull(node, f"team/app@{image.digest}")


async def test_a_lease_of_chunks_that_there_are_not_is_none(tmp_path: Path) -> None:
    """The tracker may have been told another size by somebody."""
    layer = os.urandom(300_000)
    async with open_upstream() as upstream:
        upstream.add_image("team/app", layers=[layer])
        async with Cluster(upstream, "", tmp_path).open_node("node") as node:
            node.blobs.prefetch(Digest.of(layer), SOURCE, len(layer), 10)
            await trio.testing.wait_all_tasks_blocked()
            node.blobs.downloads[0].reads.start(Lease(12345, 1000, 2000, 5.0))
            assert await _fetch(node, layer, len(layer)) == layer
            assert b'kind="unexpected"' not in node.metrics.render()[1]
