"""copy between a registry, layouts, archives and the store."""

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agent.content.digest import Digest
from agent.content.errors import InputError
from agent.images.place import Place
from tests.agent.commands.command_line import CommandLine
from tests.agent.commands.local_shell import LocalShell
from tests.agent.images.archives import ArchivedSample, docker_members
from tests.agent.images.test_tar import file, tar
from tests.agent.node.cluster import REGISTRY
from tests.fakes.upstream import FakeUpstream, open_upstream

_SAMPLE = ArchivedSample()
_OTHER = ArchivedSample([tar(file("c", b"3"))])


@pytest.fixture
def shoal(tmp_path: Path) -> LocalShell:
    shoal = LocalShell(tmp_path / "data")
    shoal.run("load", stdin=tar(*docker_members(_SAMPLE, "app:1")))
    return shoal


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("docker://alpine:3", Place("docker", "", "alpine:3")),
        ("oci:./x:app:1", Place("oci", "./x", "app:1")),
        ("oci:/x", Place("oci", "/x", "")),
        ("docker-archive:a.tar:app:1", Place("docker-archive", "a.tar", "app:1")),
        ("store:app:1", Place("store", "", "app:1")),
    ],
)
def test_places_are_written_as_skopeo_writes_them(text: str, place: Place) -> None:
    assert Place.parse(text) == place
    assert str(place) == text


@pytest.mark.parametrize(
    "text", ["", "alpine", "docker:alpine", "docker://", "oci:", "oci::x", "dir:x", "store:"]
)
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        Place.parse(text)


@pytest.mark.parametrize("transport", ["oci", "oci-archive", "docker-archive"])
def test_an_image_goes_out_and_comes_back_the_same(shoal: LocalShell, tmp_path: Path, transport: str) -> None:
    place = f"{transport}:{tmp_path / 'out'}:app:1"
    digest = shoal.run("copy", "store:app:1", place).stdout.strip()
    other = LocalShell(tmp_path / "other")
    told = other.json("copy", "--json", place, "store:team/app:2")
    assert told == {"digest": digest, "image_id": str(_SAMPLE.image_id), "to": "store:team/app:2"}
    assert other.lines("images", "--format", "{{.Repository}}:{{.Tag}} {{.Digest}}") == [
        f"team/app:2 {digest}"
    ]


def test_a_layout_takes_several_images_and_a_name_moves(shoal: LocalShell, tmp_path: Path) -> None:
    shoal.run("load", stdin=tar(*docker_members(_OTHER, "other:1")))
    layout = tmp_path / "layout"
    for source, name in (("app:1", "a"), ("other:1", "b"), ("other:1", "a"), ("app:1", "a")):
        shoal.run("copy", f"store:{source}", f"oci:{layout}:{name}")
    index = json.loads((layout / "index.json").read_bytes())
    names = [one["annotations"]["org.opencontainers.image.ref.name"] for one in index["manifests"]]
    assert names == ["b", "a"]
    assert "several images" in shoal.run("copy", f"oci:{layout}", "store:x", code=2).stderr
    assert "it has a, b" in shoal.run("copy", f"oci:{layout}:c", "store:x", code=3).stderr
    shoal.run("copy", f"oci:{layout}:a", "store:x")
    assert shoal.lines("inspect", "-f", "{{.Id}}", "x") == [str(_SAMPLE.image_id)]


def test_what_is_copied_past_the_store_does_not_stay_in_it(tmp_path: Path) -> None:
    shoal, archive = LocalShell(tmp_path / "data"), tmp_path / "app.tar"
    archive.write_bytes(tar(*docker_members(_SAMPLE, "app:1")))
    shoal.run("copy", f"docker-archive:{archive}:app:1", f"oci:{tmp_path / 'layout'}:app")
    assert shoal.lines("images", "-q") == []
    assert list((shoal.data_dir / "store/blobs/sha256").iterdir()) == []


def test_what_was_in_the_store_before_stays_when_it_is_copied_past_it(
    shoal: LocalShell, tmp_path: Path
) -> None:
    archive = tmp_path / "app.tar"
    archive.write_bytes(tar(*docker_members(_SAMPLE, "app:1")))
    shoal.run("copy", f"docker-archive:{archive}", f"oci:{tmp_path / 'layout'}:app")
    assert shoal.lines("images", "--format", "{{.Repository}}:{{.Tag}}") == ["app:1"]
    assert shoal.lines("store", "verify")[0].startswith("Verified 4 blobs")
    assert shoal.run("export", "app:1").stdout_bytes


def _harm_blob(layout: Path) -> None:
    path = layout / "blobs/sha256" / Digest.of(_SAMPLE.layers[0]).hex
    path.write_bytes(b"x" * path.stat().st_size)


def _lose_blob(layout: Path) -> None:
    (layout / "blobs/sha256" / Digest.of(_SAMPLE.layers[0]).hex).unlink()


def _link_blob_away(layout: Path) -> None:
    path = layout / "blobs/sha256" / Digest.of(_SAMPLE.layers[0]).hex
    path.unlink()
    path.symlink_to("/etc/passwd")


@pytest.mark.parametrize("harm", [_harm_blob, _lose_blob, _link_blob_away])
def test_a_harmed_layout_is_refused_and_leaves_nothing(shoal: LocalShell, tmp_path: Path, harm: Any) -> None:
    layout = tmp_path / "layout"
    shoal.run("copy", "store:app:1", f"oci:{layout}:app")
    harm(layout)
    other = LocalShell(tmp_path / "other")
    other.run("copy", f"oci:{layout}:app", "store:app:1", code=7)
    assert other.lines("images", "-q") == []


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["store:app:1", "docker://cluster.shoal/team/app"], 2, "has no registry"),
        (["store:app:1", f"docker://quay.io/app@sha256:{'0' * 64}"], 2, "has a digest"),
        (["--all", "store:app:1", "store:x"], 2, "choose from a registry's index"),
        (["store:nothing", "store:x"], 3, "No such image"),
        (["oci:/no/where", "store:x"], 2, "is no OCI layout"),
        (["docker-archive:/no/where.tar", "store:x"], 2, "cannot read"),
        (["docker://quay.io/team/app", "store:x"], 2, "registry quay.io is not"),
    ],
)
def test_what_cannot_be_copied_is_told_in_a_line(
    shoal: LocalShell, arguments: list[str], code: int, words: str
) -> None:
    assert words in shoal.run("copy", "--upstreams", "docker.io", *arguments, code=code).stderr


def test_an_archive_that_is_there_is_not_overwritten(shoal: LocalShell, tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(b"precious")
    result = shoal.run("copy", "store:app:1", f"docker-archive:{tmp_path / 'x.tar'}", code=2)
    assert "is there already" in result.stderr
    assert (tmp_path / "x.tar").read_bytes() == b"precious"


@pytest.fixture
async def upstream() -> AsyncIterator[FakeUpstream]:
    async with open_upstream() as upstream:
        upstream.add_image("team/app", "1.2", layers=[os.urandom(70_000)])
        yield upstream


@pytest.mark.parametrize("options", [["--preserve-digests"], ["--all", "--preserve-digests"]])
async def test_an_image_is_copied_out_of_a_registry(
    upstream: FakeUpstream, tmp_path: Path, options: list[str]
) -> None:
    shoal = CommandLine(tmp_path / "data", upstream)
    layout = tmp_path / "layout"
    result = await shoal.run("copy", *options, f"docker://{REGISTRY}/team/app:1.2", f"oci:{layout}:app")
    assert result.exit_code == 0, result.output
    digest = str(upstream.shelf.tags["team/app"]["1.2"])
    assert result.stdout.strip() == digest
    index = json.loads((layout / "index.json").read_bytes())
    assert [one["digest"] for one in index["manifests"]] == [digest]
