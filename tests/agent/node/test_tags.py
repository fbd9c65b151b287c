"""What a node answers for a tag: fresh, revalidated once for the cluster, stale where the registry cannot be asked."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from agent.content.digest import Digest
from agent.content.document import Descriptor
from agent.content.errors import NotFound, SourceError, Unauthorized
from agent.content.reference import Repository
from agent.node.node import Node
from agent.settings.settings import TagRule
from agent.wire.tracker_calls import TagRecord
from tests.agent.node.cluster import REGISTRY, Cluster, open_cluster
from tests.fakes.upstream import FakeUpstream, Fault, open_upstream

REPOSITORY = Repository(REGISTRY, "team/app")
REFUSED = Fault(status=401, headers={"WWW-Authenticate": 'Basic realm="x"'})


def _always_ask(node: Node, *, stale_if_error: bool = True) -> None:
    node.images._tags._rule_for = lambda tagged: TagRule("*", 0.0, stale_if_error)


@asynccontextmanager
async def _open(root: Path, count: int) -> AsyncIterator[tuple[FakeUpstream, Cluster]]:
    async with open_upstream() as upstream:
        upstream.add_image("team/app", layers=[b"layer"])
        async with open_cluster(upstream, root, count) as cluster:
            for node in cluster.nodes:
                _always_ask(node)
            yield upstream, cluster


async def test_a_registry_that_fails_means_the_last_answer_marked_stale(tmp_path: Path) -> None:
    async with _open(tmp_path, 1) as (upstream, cluster):
        node = cluster.nodes[0]
        first = await node.images.resolve(REPOSITORY, "latest")
        upstream.faults.add(Fault(status=500))
        with trio.fail_after(10):
            again = await node.images.resolve(REPOSITORY, "latest")
        assert (again.descriptor, again.stale) == (first.descriptor, True)
        _always_ask(node, stale_if_error=False)
        with trio.fail_after(10), pytest.raises(SourceError):
            await node.images.resolve(REPOSITORY, "latest")


async def test_a_node_that_never_asked_has_the_clusters_last_answer(tmp_path: Path) -> None:
    async with _open(tmp_path, 2) as (upstream, cluster):
        first, late = cluster.nodes
        resolved = await first.images.resolve(REPOSITORY, "latest")
        upstream.faults.add(Fault(status=500))
        with trio.fail_after(10):
            answers = [await late.images.resolve(REPOSITORY, "latest") for _ in range(2)]
        assert [(one.descriptor, one.stale) for one in answers] == [(resolved.descriptor, True)] * 2


async def test_a_404_is_a_404_for_everybody(tmp_path: Path) -> None:
    async with _open(tmp_path, 3) as (upstream, cluster):
        await cluster.nodes[0].images.resolve(REPOSITORY, "latest")
        upstream.faults.add(Fault(status=404))
        for node in cluster.nodes:
            with trio.fail_after(10), pytest.raises(NotFound):
                await node.images.resolve(REPOSITORY, "latest")


async def test_a_node_that_the_registry_refuses_serves_nothing_stale(tmp_path: Path) -> None:
    async with _open(tmp_path, 1) as (upstream, cluster):
        node = cluster.nodes[0]
        await node.images.resolve(REPOSITORY, "latest")
        upstream.faults.add(REFUSED)
        with trio.fail_after(10), pytest.raises(Unauthorized):
            await node.images.resolve(REPOSITORY, "latest")


async def test_a_tracker_that_is_away_means_asking_for_oneself(tmp_path: Path) -> None:
    async with open_upstream() as upstream:
        image = upstream.add_image("team/app", layers=[b"layer"])
        async with Cluster(upstream, "http://127.0.0.1:9", tmp_path).open_node("alone") as node:
            with trio.fail_after(10):
                resolved = await node.images.resolve(REPOSITORY, "latest")
        assert (resolved.descriptor.digest, resolved.stale) == (image.digest, False)


async def test_an_answer_older_than_what_this_node_has_seen_changes_nothing(tmp_path: Path) -> None:
    async with _open(tmp_path, 1) as (_, cluster):
        tags = cluster.nodes[0].images._tags
        seen = await tags.resolve(REPOSITORY, "latest")
        old = TagRecord(Digest.of(b"old"), 3, "application/x", age_seconds=3600.0)
        assert await tags._remember(REPOSITORY, "latest", old) == seen.descriptor
        new = TagRecord(Digest.of(b"new"), 3, "application/x", age_seconds=0.0)
        assert await tags._remember(REPOSITORY, "latest", new) == Descriptor("application/x", new.digest, 3)


async def test_a_clock_that_is_set_back_freezes_no_tag(tmp_path: Path) -> None:
    async with open_upstream() as upstream:
        upstream.add_image("team/app", layers=[b"layer"])
        async with Cluster(upstream, "http://127.0.0.1:9", tmp_path).open_node("alone") as node:
            tags = node.images._tags
            tags._rule_for = lambda tagged: TagRule("*", 60.0, True)
            now = tags._now_unix
            tags._now_unix = lambda: now() + 86_400
            await tags.resolve(REPOSITORY, "latest")
            tags._now_unix = now
            moved = upstream.add_image("team/app", layers=[b"another layer"])
            resolved = await tags.resolve(REPOSITORY, "latest")
            assert (resolved.descriptor.digest, resolved.stale) == (moved.digest, False)
            asked = len(upstream.requests)
            assert await tags.resolve(REPOSITORY, "latest") == resolved
            assert len(upstream.requests) == asked, "it is fresh now"


async def test_a_registry_whose_head_tells_no_digest_is_asked_for_the_manifest_once(tmp_path: Path) -> None:
    async with _open(tmp_path, 2) as (upstream, cluster):
        upstream.tells_digest = False
        for node in cluster.nodes:
            node.images._tags._rule_for = lambda tagged: TagRule("*", 60.0, True)
            resolved = await node.images.resolve(REPOSITORY, "latest")
            document = await node.images.get_document(REPOSITORY, resolved.descriptor.digest)
            assert document.descriptor == resolved.descriptor
        assert len(upstream.asked("/manifests/", method="GET")) <= 2


async def test_a_client_that_hangs_up_leaves_no_failure_to_those_who_wait_for_its_answer(
    tmp_path: Path,
) -> None:
    async with _open(tmp_path, 2) as (upstream, cluster):
        asking, waiting = cluster.nodes
        upstream.faults.add(Fault(stall_before_answer=True), times=1)
        with trio.fail_after(8):
            async with trio.open_nursery() as clients:
                with trio.CancelScope() as client:
                    clients.start_soon(_hang_up_once_asked, upstream, client)
                    await asking.images.resolve(REPOSITORY, "latest")
                assert client.cancelled_caught
            resolved = await waiting.images.resolve(REPOSITORY, "latest")
        assert not resolved.stale


async def _hang_up_once_asked(upstream: FakeUpstream, client: trio.CancelScope) -> None:
    while not upstream.requests:
        await trio.sleep(0.01)
    client.cancel()
