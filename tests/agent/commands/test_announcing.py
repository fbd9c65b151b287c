"""Names that commands give are the cluster's: told by the agent that runs, or by the next one."""

import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from agent.content.reference import Reference
from agent.images.cluster_records import record_names
from agent.images.load import load_archive
from agent.images.removing import Remover
from agent.store.store import Store
from tests.agent.commands.command_line import CommandLine, answering
from tests.agent.images.archives import ArchivedSample, docker_members
from tests.agent.images.test_tar import tar
from tests.agent.node.cluster import open_cluster
from tests.fakes.upstream import FakeUpstream, open_upstream

_SAMPLE = ArchivedSample()
_ME, _OTHER = b"m" * 16, b"o" * 16


@pytest.fixture
async def upstream() -> AsyncIterator[FakeUpstream]:
    async with open_upstream() as upstream:
        yield upstream


@pytest.mark.parametrize("with_agent", [True, False])
async def test_an_image_that_is_loaded_on_one_node_is_pulled_on_another(
    upstream: FakeUpstream, tmp_path: Path, with_agent: bool
) -> None:
    archive = tmp_path / "app.tar"
    archive.write_bytes(tar(*docker_members(_SAMPLE, "team/app:1")))
    wanted = Reference.parse("cluster.shoal/team/app:1")
    async with open_cluster(upstream, tmp_path, 1) as cluster:
        loader = CommandLine(tmp_path / "loader", upstream)
        if not with_agent:
            assert (await loader.run("load", "-i", str(archive))).exit_code == 0
        async with cluster.open_node("loader") as node:
            if with_agent:
                async with answering(node):
                    assert (await loader.run("load", "-i", str(archive))).exit_code == 0
            other = cluster.nodes[0]
            with trio.fail_after(10):
                while True:
                    found = await other.names.find(wanted.repository, "1")
                    if found.record is not None:
                        break
                    await trio.sleep(0.05)
                await other.puller.pull(wanted, None, lambda progress: None)
        assert other.store.size_of(_SAMPLE.image_id) == len(_SAMPLE.config)


def load(store: Store, *names: str) -> None:
    load_archive(store, io.BytesIO(tar(*docker_members(_SAMPLE, *names))).read)


def test_a_name_is_recorded_once_with_its_manifest(tmp_path: Path) -> None:
    with Store(tmp_path / "store") as store:
        load(store, "app:1")
        fresh = record_names(store, _ME, 2e9)
        (tag,) = [name for name in fresh if name.is_tag]
        assert (tag.repository, tag.name, tag.writer) == ("app", "1", _ME)
        assert [name.name for name in fresh] == [str(tag.digest), "1"]
        assert record_names(store, _ME, 2e9) == []


def test_a_name_that_goes_is_recorded_as_deleted_where_this_node_gave_it(tmp_path: Path) -> None:
    with Store(tmp_path / "store") as store:
        load(store, "app:1", "app:2")
        record_names(store, _ME, 2e9)
        record_names(store, _OTHER, 2e9)
        Remover(store).remove("app:1")
        assert record_names(store, _OTHER, 3e9) == [], "another node's name is not ours to take away"
        (gone,) = record_names(store, _ME, 3e9)
        assert (gone.name, gone.deleted) == ("1", True)
        load(store, "app:1")
        later = record_names(store, _ME, 4e9)
        assert [name for name in later if name.is_tag] == [], "what is older than its deletion stays deleted"


def test_a_tag_that_the_cluster_moved_since_is_not_moved_back(tmp_path: Path) -> None:
    with Store(tmp_path / "store") as store:
        load(store, "app:1")
        (_, tag) = record_names(store, _ME, 5e9)
        other = type(tag)("app", "1", type(tag.digest).of(b"other"), 5, tag.media_type, None, 6e9, _OTHER)
        store.pushed.put([other])
        assert record_names(store, _ME, 7e9) == []
