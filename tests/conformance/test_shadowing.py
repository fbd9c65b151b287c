"""Whose image is meant: the cluster's own or an upstream's, and that neither passes for the other."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.node.node import open_node
from agent.telemetry.metrics import Metrics
from tests.agent.node.cluster import IMPATIENT, REGISTRY, node_settings
from tests.conformance.endpoint import Client, Manifest, manifest_of, open_endpoint
from tests.fakes.upstream import FakeUpstream, open_upstream

THEIRS = b"a layer of theirs"
NAMED = f"?ns={REGISTRY}"


@pytest.fixture
async def upstream() -> AsyncIterator[FakeUpstream]:
    async with open_upstream() as running:
        yield running


@pytest.fixture
async def client(tmp_path: Path, upstream: FakeUpstream) -> AsyncIterator[Client]:
    settings = node_settings(tmp_path / "node", upstream.url, "")
    async with (
        open_node(settings, Metrics([REGISTRY]), patience=IMPATIENT) as node,
        open_endpoint(node) as opened,
    ):
        yield opened


async def test_who_names_nobody_gets_the_clusters_image_where_there_is_one_else_the_upstreams(
    client: Client, upstream: FakeUpstream
) -> None:
    theirs = upstream.add_image("team/app", layers=[THEIRS])
    path = "team/app/manifests/latest"
    assert (await client.call("GET", path)).content == theirs.body
    ours = await client.push(manifest_of(b"ours"), "latest")
    assert (await client.call("GET", path)).content == ours.body
    for named in (f"{path}{NAMED}", f"{REGISTRY}/{path}"):
        assert (await client.call("GET", named)).content == theirs.body
    assert (await client.call("GET", "team/app/manifests/other")).status_code == 404


async def test_official_images_are_always_the_upstreams(client: Client, upstream: FakeUpstream) -> None:
    theirs = upstream.add_image("library/app", layers=[THEIRS])
    await client.push(manifest_of(b"ours"), "latest", "app")
    assert (await client.call("GET", "library/app/manifests/latest")).content == theirs.body


async def test_what_was_pushed_is_not_read_through_an_upstreams_name(
    client: Client, upstream: FakeUpstream
) -> None:
    ours = await client.push(manifest_of(b"a secret layer"), "1", "team/secret")
    asked = await client.call("GET", f"any/name/manifests/{ours.digest}{NAMED}")
    assert asked.status_code == 404
    for blob in ours.blobs:
        digest = Manifest(blob).digest
        assert (await client.call("GET", f"any/name/blobs/{digest}{NAMED}")).status_code == 404


async def test_an_image_that_both_have_is_served_as_theirs_once_their_registry_says_so(
    client: Client, upstream: FakeUpstream
) -> None:
    theirs = upstream.add_image("school/fish", layers=[THEIRS])
    for blob in (theirs.config, THEIRS):
        await client.push_blob(blob)
    assert (await client.put_manifest(Manifest(theirs.body, theirs.media_type), "1")).status_code == 201
    for reference in (theirs.digest, "latest"):
        answer = await client.call("GET", f"school/fish/manifests/{reference}{NAMED}")
        assert (answer.status_code, answer.content) == (200, theirs.body)
    layer = Manifest(THEIRS).digest
    assert (await client.call("GET", f"school/fish/blobs/{layer}{NAMED}")).content == THEIRS
