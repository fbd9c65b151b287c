"""The store explained, verified and repaired, with and without an agent."""

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.content.chain_id import chain_ids
from agent.content.digest import Digest
from agent.store.store import Store
from tests.agent.commands.command_line import CommandLine, answering
from tests.agent.commands.local_shell import LocalShell
from tests.agent.images.archives import ArchivedSample, docker_members
from tests.agent.images.test_tar import tar
from tests.agent.node.cluster import REGISTRY, open_cluster
from tests.fakes.upstream import FakeUpstream, open_upstream

_LAYERS = [os.urandom(200_000), os.urandom(5_000)]


@pytest.fixture
async def upstream() -> AsyncIterator[FakeUpstream]:
    async with open_upstream() as upstream:
        upstream.add_image("team/app", "1.2", layers=_LAYERS)
        yield upstream


def blob_file(data_dir: Path, digest: Digest) -> Path:
    return data_dir / "store/blobs" / digest.algorithm / digest.hex


def test_the_store_is_explained_with_an_image_that_is_in_it(tmp_path: Path) -> None:
    shoal, sample = LocalShell(tmp_path), ArchivedSample()
    shoal.run("load", stdin=tar(*docker_members(sample, "team/app:1")))
    text = shoal.run("store").stdout
    diff_ids = [Digest.of(layer) for layer in sample.layers]
    for told in (sample.image_id, *diff_ids, *chain_ids(diff_ids)):
        assert str(told) in text
    assert "cluster.shoal/team/app:1" in text
    assert str(blob_file(tmp_path, sample.image_id)) in text
    assert shoal.run("store", "--image", "team/app:1").stdout == text
    assert "No such image" in shoal.run("store", "--image", "nothing", code=3).stderr


def test_an_empty_store_is_explained_too(tmp_path: Path) -> None:
    assert "no complete image" in LocalShell(tmp_path).run("store").stdout


def test_options_may_stand_before_the_word_too(tmp_path: Path) -> None:
    shoal = LocalShell(tmp_path / "usual")
    shoal.run("store", "--node-data-dir", str(tmp_path / "other"), "verify")
    assert (tmp_path / "other/store/oci-layout").exists()
    assert "no file x.toml" in shoal.run("store", "--config", "x.toml", "verify", code=2).stderr


@pytest.mark.parametrize("harm", ["altered", "cut", "removed"])
def test_verify_finds_what_was_harmed_and_nobody_is_served_it(tmp_path: Path, harm: str) -> None:
    shoal, sample = LocalShell(tmp_path), ArchivedSample()
    shoal.run("load", stdin=tar(*docker_members(sample, "team/app:1")))
    assert shoal.lines("store", "verify")[0].startswith("Verified 4 blobs")
    layer = Digest.of(sample.layers[0])
    path = blob_file(tmp_path, layer)
    if harm == "altered":
        path.write_bytes(b"x" * path.stat().st_size)
    elif harm == "cut":
        path.write_bytes(path.read_bytes()[:100])
    else:
        path.unlink()
    found = json.loads(shoal.run("store", "verify", "--json", code=7).stdout)
    assert found["damaged"] == [{"digest": str(layer), "needed_by": ["cluster.shoal/team/app:1"]}]
    assert not path.exists()
    assert f"Damaged: {layer}" in shoal.run("store", "verify", code=7).stdout, "it stays told"
    shoal.run("load", stdin=tar(*docker_members(sample, "team/app:1")))
    assert shoal.lines("store", "verify")[0].startswith("Verified 4 blobs"), "it came back otherwise"


@pytest.mark.parametrize("with_agent", [False, True])
async def test_repair_fetches_what_was_damaged_and_nothing_else(
    upstream: FakeUpstream, tmp_path: Path, with_agent: bool
) -> None:
    async with open_cluster(upstream, tmp_path, int(with_agent)) as cluster:
        data_dir = cluster.nodes[0].settings.node.data_dir if with_agent else tmp_path / "alone"
        shoal = CommandLine(data_dir, upstream)
        assert (await shoal.run("pull", "-q", f"{REGISTRY}/team/app:1.2")).exit_code == 0
        layer = Digest.of(_LAYERS[0])
        document = Digest.parse(upstream.shelf.tags["team/app"]["1.2"])
        for digest in (layer, document):
            blob_file(data_dir, digest).write_bytes(b"harmed")
        asked = len(upstream.requests)
        if with_agent:
            async with answering(cluster.nodes[0]):
                result = await shoal.run("store", "repair", "--json")
        else:
            result = await shoal.run("store", "repair", "--json")
        assert result.exit_code == 0, result.output
        assert sorted(json.loads(result.stdout)["repaired"]) == sorted([str(layer), str(document)])
        assert blob_file(data_dir, layer).read_bytes() == _LAYERS[0]
        paths = {record.path for record in upstream.requests[asked:] if "/team/app/" in record.path}
        assert {path.rpartition("/")[2] for path in paths} == {str(layer), str(document)}
        assert (await shoal.run("store", "verify")).exit_code == 0
        assert "Nothing is damaged." in (await shoal.run("store", "repair")).stdout


async def test_what_nobody_has_is_told_and_stays_on_the_list(upstream: FakeUpstream, tmp_path: Path) -> None:
    shoal = CommandLine(tmp_path, upstream)
    assert (await shoal.run("pull", "-q", f"{REGISTRY}/team/app:1.2")).exit_code == 0
    layer = Digest.of(_LAYERS[0])
    blob_file(tmp_path, layer).unlink()
    del upstream.shelf.blobs[str(layer)]
    result = await shoal.run("store", "repair")
    assert result.exit_code == 3
    assert f"{layer} could not be repaired" in result.stderr
    assert (await shoal.run("store", "verify")).exit_code == 7


def test_what_no_image_needs_is_forgotten(tmp_path: Path) -> None:
    with Store(tmp_path / "store") as store:
        digest = Digest.of(b"alone")
        store.put(digest, b"alone")
    shoal = LocalShell(tmp_path)
    blob_file(tmp_path, digest).unlink()
    shoal.run("store", "verify", code=7)
    assert shoal.lines("store", "repair") == ["Nothing is damaged."]
    assert shoal.lines("store", "verify")[0].startswith("Verified 0 blobs")
