"""What is pushed to one node is on every other at once: names through the tracker, bytes by swarm, no registry."""

import random
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio

from agent.content.digest import Digest
from agent.content.document import Descriptor, parse_document
from agent.content.reference import CLUSTER_REGISTRY, Reference, Repository
from agent.node.node import Node
from agent.store.store import Store
from tests.agent.node.cluster import open_tracker
from tests.conformance.endpoint import (
    Client,
    Manifest,
    artifact_of,
    code_of,
    index_of,
    manifest_of,
    open_endpoint,
    open_pushable,
)

pytestmark = pytest.mark.slow

SBOM = "application/vnd.example.sbom"
SETTLING_SECONDS = 4.5
LAYER = random.Random(1).randbytes(700_000)


async def test_a_push_with_copies_does_not_wait_until_idle_nodes_call(tmp_path: Path) -> None:
    manifest = manifest_of(LAYER)
    async with open_tracker() as url, open_cluster(tmp_path, url, 4, push__replicas="4") as cluster:
        await trio.sleep(0.2)  # now all are idle
        with trio.fail_after(4):
            await cluster.clients[0].push(manifest, "1")
        for node in cluster.nodes:
            assert node.store.size_of(manifest.digest) == len(manifest.body)


async def test_names_are_known_to_a_tracker_that_was_restarted_before_anybody_is_told_they_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.node.young_tracker.SETTLING_SECONDS", SETTLING_SECONDS)
    async with trio.open_nursery() as nursery:
        url, first = await nursery.start(run_tracker, 0)
        async with open_cluster(tmp_path, url) as cluster:
            manifest = await cluster.clients[0].push(manifest_of(LAYER), "1")
            first.cancel()
            await trio.sleep(0.05)
            await nursery.start(run_tracker, int(url.rpartition(":")[2]))
            began = trio.current_time()
            with trio.fail_after(SETTLING_SECONDS):
                await pulls(cluster.clients[1], manifest, "1")
            answer = await cluster.clients[1].call("HEAD", "team/app/manifests/2")
            assert answer.status_code == 404
            assert trio.current_time() - began < SETTLING_SECONDS + 1
        nursery.cancel_scope.cancel()


def _reasons(node: Node, manifest: Manifest) -> list[str]:
    return node.store.pins().get(manifest.digest, [])


async def test_what_a_tag_left_is_kept_for_a_while_alone_on_every_node_that_kept_it(tmp_path: Path) -> None:
    old, new = manifest_of(LAYER), manifest_of(b"newer")
    async with open_tracker() as url, open_cluster(tmp_path, url, 2, push__replicas="2") as cluster:
        (one, two), (first, second) = cluster.clients, cluster.nodes
        await one.push(old, "1")
        assert _reasons(first, old) == ["pushed as team/app:1"]
        assert _reasons(second, old) == ["a copy of team/app:1"]
        await two.push(new, "1")
        assert _reasons(second, new) == ["pushed as team/app:1"]
        for node in (first, second):
            await node.names.review()
            assert _reasons(node, old) == ["team/app:1 until lately"]
        assert _reasons(first, new) == ["a copy of team/app:1"]


@dataclass
class Cluster:
    nodes: list[Node]
    clients: list[Client]


@asynccontextmanager
async def open_cluster(root: Path, tracker_url: str, count: int = 2, **more: str) -> AsyncIterator[Cluster]:
    async with AsyncExitStack() as stack:
        cluster = Cluster([], [])
        for number in range(count):
            node = await stack.enter_async_context(open_pushable(root / f"node{number}", tracker_url, **more))
            cluster.nodes.append(node)
            cluster.clients.append(await stack.enter_async_context(open_endpoint(node)))
        while any(node.tracker.silent_since is not None for node in cluster.nodes):
            await trio.sleep(0.01)
        yield cluster


async def pulls(client: Client, manifest: Manifest, tag: str) -> None:
    """As an engine does: the tag, then by digests."""
    head = await client.call("HEAD", f"team/app/manifests/{tag}")
    assert (head.status_code, head.headers["docker-content-digest"]) == (200, str(manifest.digest))
    answer = await client.call("GET", f"team/app/manifests/{manifest.digest}")
    assert (answer.status_code, answer.content) == (200, manifest.body), answer.text
    for blob in manifest.blobs:
        answer = await client.call("GET", f"team/app/blobs/{Digest.of(blob, manifest.algorithm)}")
        assert (answer.status_code, answer.content) == (200, blob)


async def test_a_push_to_one_node_is_pulled_from_another_at_once(tmp_path: Path) -> None:
    async with open_tracker() as url, open_cluster(tmp_path, url) as cluster:
        one, two = cluster.clients
        await pulls(two, await one.push(manifest_of(LAYER), "1"), "1")
        await pulls(one, await two.push(manifest_of(LAYER[1:]), "1"), "1")
        image = await one.push(manifest_of(LAYER[2:], algorithm="sha512"))
        assert (await two.call("GET", f"team/app/manifests/{image.digest}")).content == image.body
        progress = await cluster.nodes[0].puller.pull(
            Reference.parse(f"{CLUSTER_REGISTRY}/team/app:1"), None, lambda progress: None
        )
        assert str(progress.digest) == str(manifest_of(LAYER[1:]).digest)


async def test_an_index_and_an_artifact_with_its_subject_are_found_from_another_node(tmp_path: Path) -> None:
    async with open_tracker() as url, open_cluster(tmp_path, url) as cluster:
        one, two = cluster.clients
        images = [await one.push(manifest_of(LAYER[:1000], bytes([n]))) for n in range(2)]
        index = await one.push(index_of(*images), "multi")
        artifact = await one.push(artifact_of(SBOM, index), "sbom")
        await pulls(two, index, "multi")
        for image in images:
            answer = await two.call("GET", f"team/app/manifests/{image.digest}")
            assert answer.content == image.body
            assert (await two.call("GET", f"team/app/blobs/{Digest.of(image.blobs[1])}")).status_code == 200
        answer = await two.call("GET", f"team/app/referrers/{index.digest}?artifactType={SBOM}")
        assert [entry["digest"] for entry in answer.json()["manifests"]] == [str(artifact.digest)]
        assert (await two.call("GET", "team/app/tags/list")).json()["tags"] == ["multi", "sbom"]
        assert (await two.call("GET", "_catalog")).json()["repositories"] == ["team/app"]


async def test_two_nodes_push_one_tag_and_all_agree_on_the_last(tmp_path: Path) -> None:
    async with open_tracker() as url, open_cluster(tmp_path, url, 3) as cluster:
        images = [manifest_of(bytes([n])) for n in range(3)]
        async with trio.open_nursery() as nursery:
            for client, image in zip(cluster.clients, images, strict=True):
                nursery.start_soon(client.push, image, "1")
        seen = {
            (await client.call("HEAD", "team/app/manifests/1")).headers["docker-content-digest"]
            for client in cluster.clients
        }
        assert len(seen) == 1
        assert all(node.names.outcomes for node in cluster.nodes)


async def test_a_deleted_tag_is_gone_everywhere_and_its_manifest_too(tmp_path: Path) -> None:
    more = {"push__delete_tags": "true", "push__delete_manifests": "true"}
    async with open_tracker() as url, open_cluster(tmp_path, url, 2, **more) as cluster:
        one, two = cluster.clients
        image = await one.push(manifest_of(b"1"), "1")
        await one.put_manifest(image, "2")
        await pulls(two, image, "1")
        assert (await two.call("DELETE", "team/app/manifests/1")).status_code == 202
        for client in (one, two):
            answer = await client.call("GET", "team/app/manifests/1")
            assert (answer.status_code, code_of(answer)) == (404, "MANIFEST_UNKNOWN")
        # By the node that has never heard of the other tag.
        assert (await two.call("DELETE", f"team/app/manifests/{image.digest}")).status_code == 202
        for client in (one, two):
            for reference in ("2", image.digest):
                assert (await client.call("HEAD", f"team/app/manifests/{reference}")).status_code == 404
            assert (await client.call("GET", "team/app/tags/list")).json()["tags"] == []


async def run_tracker(port: int, task_status: trio.TaskStatus[tuple[str, trio.CancelScope]]) -> None:
    with trio.CancelScope() as scope:
        async with open_tracker(port) as url:
            task_status.started((url, scope))
            await trio.sleep_forever()


async def test_a_restarted_tracker_is_told_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracker.directory.interval._SHORTEST_REST_SECONDS", 0.2)
    async with trio.open_nursery() as nursery:
        url, first = await nursery.start(run_tracker, 0)
        async with open_cluster(tmp_path, url, 3) as cluster:
            one, two, three = cluster.clients
            image = await one.push(manifest_of(LAYER), "1")
            first.cancel()
            await trio.sleep(0.05)
            # Without a tracker: this node goes on, says that it cannot be sure, and takes pushes.
            answer = await one.call("HEAD", "team/app/manifests/1")
            assert (answer.status_code, answer.headers["warning"][:3]) == (200, "110")
            late = await two.push(manifest_of(b"late"), "late")
            await nursery.start(run_tracker, int(url.rpartition(":")[2]))
            with trio.fail_after(20):
                while True:
                    answer = await three.call("GET", "team/app/tags/list")
                    if answer.status_code == 200 and answer.json()["tags"] == ["1", "late"]:
                        break
                    await trio.sleep(0.05)
            await pulls(three, image, "1")
            await pulls(three, late, "late")
        nursery.cancel_scope.cancel()


async def test_a_push_is_answered_when_enough_nodes_hold_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tracker.directory.interval._SHORTEST_REST_SECONDS", 0.2)
    async with open_tracker() as url, open_cluster(tmp_path, url, 3, push__replicas="3") as cluster:
        image = await cluster.clients[0].push(manifest_of(LAYER), "1")
        for node in cluster.nodes:
            for blob in (image.body, *image.blobs):
                assert node.store.size_of(Digest.of(blob)) == len(blob)


async def test_a_push_that_too_few_nodes_can_hold_is_an_error_and_moves_no_tag(tmp_path: Path) -> None:
    settings = {"push__replicas": "3", "push__replica_timeout": "500ms"}
    async with open_tracker() as url, open_cluster(tmp_path, url, 2, **settings) as cluster:
        image = manifest_of(b"1")
        for blob in image.blobs:
            await cluster.clients[0].push_blob(blob)
        answer = await cluster.clients[0].put_manifest(image, "1")
        assert answer.status_code == 503
        assert "of 2 nodes hold it, push.replicas wants 3" in answer.text
        assert (await cluster.clients[0].call("GET", "team/app/manifests/1")).status_code == 404


async def test_what_no_node_has_any_more_fails_with_a_clear_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.node.without_registry._ALONE_SECONDS", 0.3)
    async with open_tracker() as url, open_cluster(tmp_path, url) as cluster:
        one, two = cluster.clients
        image = await one.push(manifest_of(LAYER), "1")
        await two.call("GET", "team/app/manifests/1")
        layer = Digest.of(b"".join(image.blobs[1:]))
        two_store = cluster.nodes[1].store
        cluster.nodes[0].store.remove(layer)
        two_store.remove(layer)
        with trio.fail_after(20):
            answer = await two.call("GET", f"team/app/blobs/{layer}")
        assert answer.status_code in {200, 404}
        if answer.status_code == 404:
            assert "no node of this cluster" in answer.text


async def test_without_a_tracker_a_node_is_a_registry_of_its_own(tmp_path: Path) -> None:
    async with open_pushable(tmp_path / "alone") as node, open_endpoint(node) as client:
        image = await client.push(manifest_of(LAYER), "1")
        await pulls(client, image, "1")


async def test_what_a_command_named_in_the_store_is_known_to_the_cluster(tmp_path: Path) -> None:
    async with open_tracker() as url, open_cluster(tmp_path, url) as cluster:
        one, two = cluster.clients
        image, repository = manifest_of(LAYER), Repository(CLUSTER_REGISTRY, "team/app")
        with Store(cluster.nodes[0].store.root) as beside:
            for blob in (*image.blobs, image.body):
                beside.put(Digest.of(blob), blob)
            document = parse_document(image.body)
            descriptor = Descriptor(document.media_type, image.digest, len(image.body))
            beside.put_document(repository, descriptor, document.children)
            beside.put_tag(repository, "loaded", descriptor, time.time())
        await pulls(one, image, "loaded")
        await pulls(two, image, "loaded")


async def test_a_name_given_by_another_process_is_told_without_being_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.node.local_names._LOOK_SECONDS", 0.05)
    async with open_tracker() as url, open_cluster(tmp_path, url) as cluster:
        image = await cluster.clients[0].push(manifest_of(LAYER), "1")
        with Store(cluster.nodes[0].store.root) as beside:
            tag = beside.find_tag(Repository(CLUSTER_REGISTRY, "team/app"), "1")
            assert tag is not None
            beside.put_tag(tag.repository, "again", tag.descriptor, time.time())
        with trio.fail_after(10):
            while (await cluster.clients[1].call("HEAD", "team/app/manifests/again")).status_code != 200:
                await trio.sleep(0.02)
        await pulls(cluster.clients[1], image, "again")
