"""push out of a store into the registry that a name names; and copy with a registry as its destination."""

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
from click.testing import Result

from agent.commands.push_live import LivePush
from agent.commands.pushing import push_target
from agent.content.digest import Digest
from agent.content.document import Descriptor
from agent.content.errors import InputError
from agent.store.store import Store
from tests.agent.commands.command_line import CommandLine
from tests.agent.node.cluster import REGISTRY
from tests.clients.local_images import put_image
from tests.fakes.images import Image, make_image, make_index, random_layer
from tests.fakes.upstream import FakeUpstream, Fault, open_upstream
from tests.fakes.upstream_auth import DISTRIBUTION_BASIC

_IMAGE = make_image([random_layer("one", 50_000), random_layer("two", 1000, compression="gzip")])
_FOREIGN = make_image([random_layer("three", 1000)], architecture="s390x")
_INDEX = make_index({"linux/amd64": _IMAGE, "linux/s390x": _FOREIGN})


@pytest.fixture
async def upstream() -> AsyncIterator[FakeUpstream]:
    async with open_upstream() as upstream:
        yield upstream


@pytest.fixture
def shoal(tmp_path: Path, upstream: FakeUpstream) -> CommandLine:
    put_image(tmp_path, _IMAGE, f"{REGISTRY}/team/app:1")
    put_image(tmp_path, _IMAGE, "cluster.shoal/own:1")
    return CommandLine(tmp_path, upstream)


def _body(image: Image) -> bytes:
    return b"".join(image.manifest.pieces())


def _has(upstream: FakeUpstream, name: str, tag: str, image: Image) -> bool:
    held = upstream.shelf.find_manifest(name, tag)
    everything = all(upstream.shelf.size_of(str(blob.digest)) == blob.size_bytes for blob in image.blobs)
    return held is not None and held[1].body == _body(image) and everything


async def _done(shoal: CommandLine, *arguments: str, code: int = 0) -> Result:
    with trio.fail_after(20):
        result = await shoal.run(arguments[0], *arguments[1:])
    assert result.exit_code == code, result.output
    return result


async def test_an_image_goes_to_its_own_registry_with_dockers_lines(
    shoal: CommandLine, upstream: FakeUpstream
) -> None:
    ending = f"1: digest: {_IMAGE.manifest.digest} size: {len(_body(_IMAGE))}"
    first = f"The push refers to repository [{REGISTRY}/team/app]"
    for words in ("Pushed", "Layer already exists"):
        lines = (await _done(shoal, "push", f"{REGISTRY}/team/app:1")).stdout.splitlines()
        assert (lines[0], lines[-1]) == (first, ending)
        layers = {f"{blob.digest.hex[:12]}: {words}" for blob in _IMAGE.blobs}
        assert set(lines[1:-1]) < layers, "of the config nothing is said"
        assert len(lines) == 4
    assert _has(upstream, "team/app", "1", _IMAGE)
    put_at = [n for n, record in enumerate(upstream.requests) if "/manifests/" in record.path]
    assert put_at[0] > max(n for n, r in enumerate(upstream.requests[: put_at[0] + 1]) if "blobs" in r.path)


async def test_an_image_goes_where_the_target_says(shoal: CommandLine, upstream: FakeUpstream) -> None:
    quiet = await _done(shoal, "push", "-q", "own:1", f"{REGISTRY}/other/name:2")
    assert quiet.stdout == f"{REGISTRY}/other/name:2\n"
    assert _has(upstream, "other/name", "2", _IMAGE)
    unknown = await _done(shoal, "push", "own:1", f"{upstream.host}/not/configured")
    assert "latest: digest:" in unknown.stdout, "on this machine it is reached by http"
    assert _has(upstream, "not/configured", "latest", _IMAGE)


async def test_json_tells_what_became_of_each_blob(shoal: CommandLine) -> None:
    told = json.loads((await _done(shoal, "push", "--json", f"{REGISTRY}/team/app:1")).stdout)
    assert (told["reference"], told["status"]) == (f"{REGISTRY}/team/app:1", "pushed")
    assert (told["digest"], told["size"]) == (str(_IMAGE.manifest.digest), len(_body(_IMAGE)))
    assert told["media_type"] == _IMAGE.media_type
    assert {(one["digest"], one["state"]) for one in told["blobs"]} == {
        (str(blob.digest), "pushed") for blob in _IMAGE.blobs
    }
    assert told["sent_bytes"] == sum(one["size"] for one in told["blobs"])


async def test_an_index_goes_with_all_its_platforms_where_all_are_here(
    shoal: CommandLine, upstream: FakeUpstream, tmp_path: Path
) -> None:
    put_image(tmp_path, _FOREIGN, f"{REGISTRY}/team/part:1")
    put_image(tmp_path, _INDEX, f"{REGISTRY}/team/all:1")
    await _done(shoal, "push", f"{REGISTRY}/team/all:1")
    held = upstream.shelf.find_manifest("team/all", "1")
    assert held is not None
    assert held[1].body == _body(_INDEX)
    assert _has(upstream, "team/all", str(_FOREIGN.manifest.digest), _FOREIGN)
    assert _has(upstream, "team/all", str(_IMAGE.manifest.digest), _IMAGE)


async def test_of_an_index_that_is_not_here_completely_one_platform_goes_and_that_is_told(
    shoal: CommandLine, upstream: FakeUpstream, tmp_path: Path
) -> None:
    put_image(tmp_path, _INDEX, f"{REGISTRY}/team/all:1")
    result = await _done(shoal, "push", f"{REGISTRY}/team/all:1")
    assert f"{_IMAGE.manifest.digest} is pushed alone" in result.stderr
    assert _has(upstream, "team/all", "1", _IMAGE)


async def test_all_tags_of_a_repository_go_in_their_order(
    shoal: CommandLine, upstream: FakeUpstream, tmp_path: Path
) -> None:
    put_image(tmp_path, _FOREIGN, f"{REGISTRY}/team/app:0")
    put_image(tmp_path, _FOREIGN, f"{REGISTRY}/team/other:7")
    lines = (await _done(shoal, "push", "--all-tags", f"{REGISTRY}/team/app")).stdout.splitlines()
    assert [line.partition(":")[0] for line in lines if ": digest: " in line] == ["0", "1"]
    assert upstream.shelf.tags == {
        "team/app": {"0": str(_FOREIGN.manifest.digest), "1": str(_IMAGE.manifest.digest)}
    }
    told = (
        await _done(shoal, "push", "-a", "--json", f"{REGISTRY}/team/app", f"{REGISTRY}/elsewhere")
    ).stdout
    assert [json.loads(line)["reference"] for line in told.splitlines()] == [
        f"{REGISTRY}/elsewhere:0",
        f"{REGISTRY}/elsewhere:1",
    ]
    assert _has(upstream, "elsewhere", "1", _IMAGE)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["-a", "own:1", f"{REGISTRY}/x"], 2, "has a tag"),
        (["-a", "own", f"{REGISTRY}/x:1"], 2, "has a tag"),
        (["-a", "own"], 2, "which has no registry"),
        (["-a", "nothing"], 3, "No such repository"),
        (["own:1"], 2, "which has no registry"),
        ([_IMAGE.manifest.digest.hex[:12]], 2, "is an ID"),
        (["own:1", "Bad//name"], 2, "invalid"),
        (["own:1", f"{REGISTRY}/x@sha256:{'0' * 64}"], 2, "has a digest"),
        (["nothing", f"{REGISTRY}/x"], 3, "No such image"),
    ],
)
async def test_what_cannot_be_pushed_is_told_in_a_line(
    shoal: CommandLine, upstream: FakeUpstream, arguments: list[str], code: int, words: str
) -> None:
    result = await _done(shoal, "push", *arguments, code=code)
    assert words in result.stderr
    assert result.stderr.count("\n") == 1
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("fault", "code"),
    [(Fault(status=403), 4), (Fault(status=429), 5), (Fault(status=501), 5), (Fault(status=404), 3)],
)
async def test_a_registry_that_refuses_is_told_by_code_and_leaves_no_name(
    shoal: CommandLine, upstream: FakeUpstream, fault: Fault, code: int
) -> None:
    upstream.faults.add(fault, method="POST")
    result = await _done(shoal, "push", "--json", f"{REGISTRY}/team/app:1", code=code)
    told = json.loads(result.stdout)
    assert (told["status"], told["exit_code"]) == ("failed", code)
    assert upstream.shelf.tags == {}


async def test_without_credentials_the_code_is_four(shoal: CommandLine, upstream: FakeUpstream) -> None:
    upstream.gate.style = DISTRIBUTION_BASIC
    result = await _done(shoal, "push", f"{REGISTRY}/team/app:1", code=4)
    assert "none are configured" in result.stderr


async def test_a_damaged_blob_is_told_and_nothing_is_named(
    shoal: CommandLine, upstream: FakeUpstream, tmp_path: Path
) -> None:
    layer = max(_IMAGE.blobs, key=lambda blob: blob.size_bytes)
    path = tmp_path / "store/blobs/sha256" / layer.digest.hex
    path.chmod(0o600)
    path.write_bytes(os.urandom(path.stat().st_size))
    result = await _done(shoal, "push", f"{REGISTRY}/team/app:1", code=7)
    assert "damaged on this disk" in result.stderr
    assert upstream.shelf.tags == {}
    await trio.to_thread.run_sync((tmp_path / "store/blobs/sha256" / layer.digest.hex).unlink)
    with Store(tmp_path / "store") as store:
        store.remove(layer.digest)
    assert "not here completely" in (await _done(shoal, "push", f"{REGISTRY}/team/app:1", code=7)).stderr


async def test_copy_takes_a_registry_as_its_destination(shoal: CommandLine, upstream: FakeUpstream) -> None:
    told = json.loads(
        (await _done(shoal, "copy", "--json", "store:own:1", f"docker://{REGISTRY}/copied:1")).stdout
    )
    assert told["digest"] == str(_IMAGE.manifest.digest)
    assert told["to"] == f"docker://{REGISTRY}/copied:1"
    assert _has(upstream, "copied", "1", _IMAGE)
    await _done(shoal, "copy", f"docker://{REGISTRY}/copied:1", f"docker://{REGISTRY}/again:1")
    assert _has(upstream, "again", "1", _IMAGE)


def test_a_name_without_a_registry_is_docker_hubs() -> None:
    assert str(push_target("me/app")) == "docker.io/me/app:latest"
    with pytest.raises(InputError):
        push_target("cluster.shoal/app:1")


def test_a_terminal_shows_a_bar_a_layer() -> None:
    from io import StringIO

    from rich.console import Console

    text = StringIO()
    layer = Descriptor("x/layer", Digest.of(b"layer"), 1000)
    config = Descriptor("x/config", Digest.of(b"config"), 10)
    with LivePush(Console(file=text, force_terminal=True, width=100), now=lambda: 1.0) as view:
        view.begin([layer])
        view.on_sent(layer, 500)
        assert "Pushing" in text.getvalue()
        for blob in (layer, config):
            view.on_blob(blob, "pushed", None)
    assert f"{layer.digest.hex[:12]}" in text.getvalue()
    assert "Pushed" in text.getvalue()
    assert config.digest.hex[:12] not in text.getvalue()
    assert [one.digest for one in view.blobs] == [layer.digest, config.digest]
