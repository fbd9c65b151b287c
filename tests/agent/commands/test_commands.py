"""pull, images and status against a registry, with and without an agent."""

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from tests.agent.commands.command_line import CommandLine, answering
from tests.agent.node.cluster import REGISTRY, open_cluster
from tests.fakes.upstream import FakeUpstream, Fault, open_upstream

_LAYERS = [os.urandom(200_000), os.urandom(5_000)]


@pytest.fixture
async def upstream() -> AsyncIterator[FakeUpstream]:
    async with open_upstream() as upstream:
        upstream.add_image("team/app", "1.2", layers=_LAYERS)
        yield upstream


async def test_an_image_is_pulled_without_an_agent_and_listed(upstream: FakeUpstream, tmp_path: Path) -> None:
    shoal = CommandLine(tmp_path, upstream)
    assert (await shoal.run("images", "-q")).output == ""
    assert list(tmp_path.iterdir()) == [], "listing makes no store"
    first = await shoal.run("pull", f"{REGISTRY}/team/app:1.2")
    assert first.exit_code == 0, first.output
    image = upstream.shelf.tags["team/app"]["1.2"]
    assert first.output.splitlines()[-3:] == [
        f"Digest: {image}",
        f"Status: Downloaded newer image for {REGISTRY}/team/app:1.2",
        f"{REGISTRY}/team/app:1.2",
    ]
    again = json.loads((await shoal.run("pull", "--json", f"{REGISTRY}/team/app:1.2")).output)
    assert (again["status"], again["registry_bytes"], again["through_agent"]) == ("up_to_date", 0, False)
    assert str(image) in (await shoal.run("images", "--digests")).output
    image_id = (await shoal.run("images", "-q", "--no-trunc")).output
    assert image_id.startswith("sha256:")
    assert image_id.strip() != str(image), "the ID is of the config, not of the manifest"
    (listed,) = json.loads((await shoal.run("images", "--json")).output)
    assert (listed["repository"], listed["tag"], listed["complete"]) == (f"{REGISTRY}/team/app", "1.2", True)


async def test_a_pull_goes_through_the_agent_that_runs_and_tells_what_peers_gave(
    upstream: FakeUpstream, tmp_path: Path
) -> None:
    async with open_cluster(upstream, tmp_path, 2) as cluster:
        results = []
        for node in cluster.nodes:
            async with answering(node):
                shoal = CommandLine(node.settings.node.data_dir, upstream)
                result = await shoal.run("pull", "--json", f"{REGISTRY}/team/app:1.2")
                assert result.exit_code == 0, result.output
                results.append(json.loads(result.output))
        first, second = results
        async with answering(cluster.nodes[1]):
            shoal = CommandLine(cluster.nodes[1].settings.node.data_dir, upstream)
            status = json.loads((await shoal.run("status", "--json")).output)
            page = (await shoal.run("status")).output
        assert first["through_agent"]
        assert first["peer_bytes"] == 0
        assert first["registry_bytes"] == first["bytes"] > 205_000
        assert second["registry_bytes"] == 0
        assert second["digest"] == first["digest"]
        assert status["tracker"]["nodes"] == 2
        assert status["store"]["blobs"] == 4
        assert "Tracker" in page
        assert "2 nodes" in page


@pytest.mark.parametrize("with_agent", [False, True])
@pytest.mark.parametrize(
    ("reference", "fault", "code", "kind"),
    [
        ("team/nothing", None, 3, "NotFound"),
        ("team/app:1.2", Fault(status=401), 4, "Unauthorized"),
        ("team/app:1.2", Fault(status=403), 4, "Unauthorized"),
    ],
)
async def test_a_failed_pull_has_the_exit_code_of_its_kind_with_and_without_an_agent(
    upstream: FakeUpstream,
    tmp_path: Path,
    with_agent: bool,
    reference: str,
    fault: Fault | None,
    code: int,
    kind: str,
) -> None:
    if fault is not None:
        upstream.faults.add(fault)
    async with open_cluster(upstream, tmp_path, int(with_agent)) as cluster:
        directory = cluster.nodes[0].settings.node.data_dir if with_agent else tmp_path / "alone"
        shoal = CommandLine(directory, upstream)
        if with_agent:
            async with answering(cluster.nodes[0]):
                result = await shoal.run("pull", "--json", f"{REGISTRY}/{reference}")
        else:
            result = await shoal.run("pull", "--json", f"{REGISTRY}/{reference}")
    assert result.exit_code == code
    failure = json.loads(result.stdout)
    assert (failure["status"], failure["kind"], failure["exit_code"]) == ("failed", kind, code)
    assert result.stderr == f"shoal: {failure['error']}\n"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["pull", "UPPER/case"], 2, "invalid repository name"),
        (["pull", "--platform", "x", "app"], 2, "expected OS/ARCH"),
        (["pull", "quay.io/team/app"], 2, "registry quay.io is not"),
        (["status"], 5, "start one with `shoal up`"),
        (["status", "--config", "/nowhere/shoal.toml"], 2, "there is no file /nowhere/shoal.toml"),
        (["config", "--json", "--check"], 2, "one of --json, --default and --check"),
    ],
)
async def test_what_cannot_be_done_is_told_in_a_line(
    upstream: FakeUpstream, tmp_path: Path, arguments: list[str], code: int, words: str
) -> None:
    result = await CommandLine(tmp_path, upstream).run(*arguments)
    assert result.exit_code == code
    assert words in result.stderr
    assert result.stdout == ""


async def test_status_names_the_socket_where_no_agent_listens(upstream: FakeUpstream, tmp_path: Path) -> None:
    """A dead one's socket file counts as none."""
    socket = trio.socket.socket(trio.socket.AF_UNIX)
    await socket.bind(str(tmp_path / "shoal.sock"))
    socket.close()
    result = await CommandLine(tmp_path, upstream).run("status")
    assert result.exit_code == 5
    assert str(tmp_path / "shoal.sock") in result.stderr


async def test_a_store_that_is_damaged_or_not_ours_is_told_in_a_line(
    upstream: FakeUpstream, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    store.mkdir()
    (store / "oci-layout").write_text("{}")
    (store / "index.db").write_text("this is no database, and long enough not to be taken for an empty one")
    result = await CommandLine(tmp_path, upstream).run("images")
    assert result.exit_code == 6
    assert "damaged" in result.stderr


async def test_all_mistakes_of_a_configuration_are_told_at_once(
    upstream: FakeUpstream, tmp_path: Path
) -> None:
    file = tmp_path / "shoal.toml"
    file.write_text('[proxy]\nlisten = "x"\n[stor]\nquota = 3\n')
    shoal = CommandLine(tmp_path / "data", upstream)
    result = await shoal.run("config", "--check", "--config", str(file))
    assert result.exit_code == 2
    assert "2 mistakes" in result.stderr
    assert "proxy.listen" in result.stderr
    assert "did you mean store?" in result.stderr


async def test_config_shows_where_each_value_comes_from(upstream: FakeUpstream, tmp_path: Path) -> None:
    shoal = CommandLine(tmp_path, upstream)
    text = (await shoal.run("config")).output
    assert "# flag --node-data-dir" in text
    assert "# environment SHOAL_UPSTREAMS" in text
    found = json.loads((await shoal.run("config", "--json")).output)
    assert found["node.data_dir"] == {
        "value": str(tmp_path),
        "text": str(tmp_path),
        "source": "flag --node-data-dir",
    }
    assert (await shoal.run("config", "--check")).output == ""
    file = tmp_path / "default.toml"
    file.write_text((await shoal.run("config", "--default")).output)
    assert (await shoal.run("config", "--check", "--config", str(file))).exit_code == 0
