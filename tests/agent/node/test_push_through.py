"""What is pushed to the cluster goes on to a registry: whole, in order, over cuts and restarts; and is seen."""

import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from agent.commands.status_page import status_lines
from agent.content.digest import Digest
from agent.content.pushed import PushedName
from agent.content.reference import CLUSTER_REGISTRY, Repository
from agent.node.node import Node
from agent.node.status import status_of
from agent.settings.settings import PushThroughRule
from tests.conformance.endpoint import (
    Client,
    Manifest,
    artifact_of,
    index_of,
    manifest_of,
    open_endpoint,
    open_pushable,
)
from tests.fakes.upstream import FakeUpstream, Fault, open_upstream

pytestmark = pytest.mark.slow

BIG = bytes(range(256)) * 8192
IMAGE = manifest_of(BIG, b"small layer")
OTHER = manifest_of(b"another layer")


@asynccontextmanager
async def open_through(
    data_dir: Path, upstream: FakeUpstream, **more: str
) -> AsyncIterator[tuple[Node, Client]]:
    through = f"team={upstream.host}/mirror/team"
    async with open_pushable(data_dir, push_through=through, **more) as node, open_endpoint(node) as client:
        node.push_through.first_wait_seconds = 0.05
        yield node, client


def waiting(node: Node) -> list[tuple[str, str]]:
    return [(one.queued.reference, one.state) for one in node.push_through.status()]


async def wait_until(is_so: Callable[[], bool]) -> None:
    with trio.fail_after(10):
        while not is_so():
            await trio.sleep(0.01)


async def wait_done(node: Node) -> None:
    await wait_until(lambda: not waiting(node))


def has(
    upstream: FakeUpstream, manifest: Manifest, reference: str = "", name: str = "mirror/team/app"
) -> bool:
    held = upstream.shelf.find_manifest(name, reference or str(manifest.digest))
    blobs = all(upstream.shelf.size_of(str(Digest.of(blob))) == len(blob) for blob in manifest.blobs)
    return (
        held is not None
        and (held[1].body, held[1].media_type) == (manifest.body, manifest.media_type)
        and blobs
    )


async def test_a_push_goes_on_with_its_tag_and_all_that_it_names(tmp_path: Path) -> None:
    index = index_of(IMAGE, OTHER)
    signature = artifact_of("example/signature", index)
    async with open_upstream() as upstream, open_through(tmp_path, upstream) as (node, client):
        for part in (IMAGE, OTHER):
            await client.push(part)
        await client.push(index, "1")
        await client.push(signature)
        await wait_done(node)
        assert has(upstream, index, "1")
        assert all(has(upstream, one) for one in (IMAGE, OTHER, index, signature))
        assert upstream.shelf.tags == {"mirror/team/app": {"1": str(index.digest)}}
        assert b'shoal_push_through_queue{state="waiting"} 0.0' in node.metrics.render()[1]


async def test_what_no_prefix_covers_stays_here(tmp_path: Path) -> None:
    async with open_upstream() as upstream, open_through(tmp_path, upstream) as (node, client):
        await client.push(OTHER, "1", name="other/app")
        assert waiting(node) == []
        await trio.sleep(0.05)
        assert upstream.requests == []


async def test_a_registry_that_asks_for_patience_gets_it_and_that_is_seen(tmp_path: Path) -> None:
    async with open_upstream() as upstream, open_through(tmp_path, upstream) as (node, client):
        upstream.faults.add(Fault(status=429, retry_after="30"), times=1)
        await client.push(OTHER, "1")
        await client.push(OTHER, "2", name="team/second")
        await wait_until(lambda: any(state == "failed" for _, state in waiting(node)))
        await trio.sleep(0.3)
        assert len(upstream.requests) <= 2, "the other repository waits, too"
        told = status_of(node)
        [failed] = [one for one in told["push_through"] if one["state"] == "failed"]
        assert failed["failures"] == 1
        assert 20 < failed["next_try_seconds"] <= 30
        assert "status 429" in failed["reason"]
        [line] = [line for line in status_lines(told) if "again in" in line]
        assert f"{failed['image']}  to {failed['target']}" in " ".join(line.split()).replace(" to", "  to")


async def test_a_clock_that_is_set_back_puts_nothing_off(tmp_path: Path) -> None:
    async with open_upstream() as upstream, open_through(tmp_path, upstream) as (node, client):
        now = node.push_through._now_unix
        node.push_through._now_unix = lambda: now() + 86_400
        upstream.faults.add(Fault(status=429, retry_after="30"), times=1)
        await client.push(OTHER, "1")
        await wait_until(lambda: waiting(node) == [("1", "failed")])
        node.push_through._now_unix = now
        node.push_through.wake()
        await wait_done(node)
        assert has(upstream, OTHER, "1")


async def test_what_fails_is_tried_again_and_lets_others_go_before_it(tmp_path: Path) -> None:
    async with open_upstream() as upstream, open_through(tmp_path, upstream) as (node, client):
        upstream.faults.add(Fault(status=400), match="/manifests/bad", method="PUT", times=2)
        await client.push(OTHER, "bad")
        await client.push(OTHER, "good")
        await wait_done(node)
        assert has(upstream, OTHER, "bad")
        assert has(upstream, OTHER, "good")
        puts = [one.path.rpartition("/")[2] for one in upstream.asked("/manifests/", method="PUT")]
        assert [one for one in puts if not one.startswith("sha256")].count("bad") == 3


async def test_the_last_push_of_a_tag_wins_and_breaks_off_the_one_before(tmp_path: Path) -> None:
    async with open_upstream() as upstream, open_through(tmp_path, upstream) as (node, client):
        upstream.faults.add(Fault(stall_before_answer=True), match="uploads", method="PATCH", times=1)
        await client.push(IMAGE, "1")
        await wait_until(lambda: bool(upstream.asked("uploads", method="PATCH")))
        await client.push(OTHER, "1")
        await wait_until(lambda: has(upstream, OTHER, "1"))
        await wait_done(node)
        assert upstream.shelf.tags["mirror/team/app"]["1"] == str(OTHER.digest)
        tags = upstream.asked("/manifests/1", method="PUT")
        assert len(tags) == 1, "the earlier one never got its name"


async def test_a_restart_goes_on_with_the_queue_and_in_the_middle_of_a_blob(tmp_path: Path) -> None:
    async with open_upstream() as upstream:
        upstream.faults.add(Fault(cut_request_after_bytes=700_000), method="PATCH")
        upstream.faults.add(Fault(status=500), match="uploads", method="GET")
        async with open_through(tmp_path, upstream) as (node, client):
            await client.push(IMAGE, "1")
            await wait_until(lambda: any(state == "failed" for _, state in waiting(node)))
        upstream.faults.clear()
        async with open_through(tmp_path, upstream) as (node, _client):
            await wait_done(node)
        assert has(upstream, IMAGE, "1")
        places = [one.headers.get("content-range") for one in upstream.asked("uploads", method="PATCH")]
        assert f"700000-{len(BIG) - 1}" in places


async def test_what_goes_on_is_held_from_eviction_until_it_is_there(tmp_path: Path) -> None:
    async with open_upstream() as upstream:
        upstream.faults.add(Fault(status=403))
        async with open_through(tmp_path, upstream, push__delete_tags="true") as (node, client):
            await client.push(IMAGE, "1")
            held = node.store._room.held()
            assert IMAGE.digest in node.store.push_queue.digests()
            assert IMAGE.digest in held
            assert (await client.call("DELETE", "team/app/manifests/1")).status_code == 202
            assert waiting(node) == []


async def test_a_tag_that_another_node_has_pushed_since_is_left_to_it(tmp_path: Path) -> None:
    async with open_upstream() as upstream, open_through(tmp_path, upstream) as (node, client):
        upstream.faults.add(Fault(status=500), match="/manifests/1", method="PUT")
        await client.push(IMAGE, "1")
        await wait_until(lambda: ("1", "failed") in waiting(node))
        mine = node.store.pushed.find("team/app", "1")
        assert mine is not None
        theirs = type(mine)(
            "team/app", "1", OTHER.digest, 5, mine.media_type, None, mine.at + 1, b"\xff" * 32
        )
        node.names._keep([theirs])
        upstream.faults.clear()
        await wait_done(node)
        assert "1" not in upstream.shelf.tags.get("mirror/team/app", {})


async def test_a_blob_that_another_of_our_repositories_has_there_is_mounted(tmp_path: Path) -> None:
    async with open_upstream() as upstream, open_through(tmp_path, upstream) as (node, client):
        await client.push(IMAGE, "1", name="team/base")
        await wait_done(node)
        upstream.faults.add(Fault(status=404), match="/blobs/sha256", method="HEAD")
        sent = len(upstream.asked("uploads", method="PATCH"))
        await client.push(IMAGE, "1")
        await wait_done(node)
        assert has(upstream, IMAGE, "1")
        assert len(upstream.asked("uploads", method="PATCH")) == sent
        assert "from=mirror/team/base" in upstream.asked("uploads", method="POST")[-1].query


async def test_a_queue_without_its_rule_is_given_up(tmp_path: Path) -> None:
    async with open_upstream() as upstream:
        upstream.faults.add(Fault(status=500))
        async with open_through(tmp_path, upstream) as (node, client):
            await client.push(OTHER, "1")
            assert waiting(node)
        async with open_pushable(tmp_path) as node:
            await wait_done(node)


async def test_an_image_that_a_command_names_goes_on_as_well(tmp_path: Path) -> None:
    async with open_upstream() as upstream, open_through(tmp_path, upstream) as (node, client):
        await client.push(OTHER, "1", name="other/app")
        named = node.store.find_tag(Repository(CLUSTER_REGISTRY, "other/app"), "1")
        assert named is not None
        team = Repository(CLUSTER_REGISTRY, "team/app")
        document = [Digest.of(blob) for blob in OTHER.blobs]
        assert document
        node.store.put_document(team, named.descriptor, [])
        node.store.put_tag(team, "2", named.descriptor, named.checked_at + 1)
        await node.local_names.publish_if_new(team, "2")
        await wait_done(node)
        assert has(upstream, OTHER, "2")


def test_a_rule_for_all_leaves_out_nothing() -> None:
    rule = PushThroughRule("*", "registry.example/all")
    assert str(rule.target_of("team/app")) == "registry.example/all/team/app"


async def test_a_push_that_is_looked_at_before_it_is_known_is_not_taken_for_outdone(tmp_path: Path) -> None:
    async with open_upstream() as upstream, open_through(tmp_path, upstream) as (node, client):
        put = node.store.pushed.put

        def put_late(names: Iterable[PushedName]) -> None:
            trio.from_thread.run_sync(node.push_through.wake)
            time.sleep(0.1)  # in a thread: the queue is looked at meanwhile
            put(names)

        node.store.pushed.put = put_late  # type: ignore[method-assign]
        await client.push(OTHER, "1")
        await wait_done(node)
        assert has(upstream, OTHER, "1")
