"""Where a build goes, and how its layers are packed there."""

import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.content import media_types
from agent.content.digest import Digest
from agent.content.document import parse_document
from agent.content.errors import ContentError, DiskError, InputError
from agent.content.platform import Platform
from agent.store.store import Store
from builder.build import BuildOutcome, build
from builder.output import Output, Packing
from builder.request import BuildRequest
from tests.agent.commands.command_line import CommandLine
from tests.agent.node.cluster import REGISTRY
from tests.builder.building import AMD64, Told, build_in, put_image, surroundings
from tests.fakes.upstream import open_upstream

_DOCKERFILE = "FROM base:1\nWORKDIR /w\n"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as opened:
        put_image(opened, "base:1")
        yield opened


def layer_types(store: Store, root: Digest | None) -> list[str]:
    assert root is not None
    body = store.read(root, 1 << 20)
    assert body is not None
    return [layer.media_type.rpartition(".")[2] for layer in parse_document(body).layers]


def layout_index(directory: Path) -> list[dict[str, Any]]:
    manifests: list[dict[str, Any]] = json.loads((directory / "index.json").read_text())["manifests"]
    return manifests


async def built(directory: Path, store: Store, *outputs: Output, **request: Any) -> BuildOutcome:
    return await build_in(directory, store, _DOCKERFILE, outputs=outputs, **request)


@pytest.mark.skipif(os.getuid() != 0, reason="trees are mounted, by root")
async def test_layers_are_packed_as_each_output_says(tmp_path: Path, store: Store) -> None:
    zstd = Output("store", packing=Packing("zstd"))
    everything = Output(
        "oci", str(tmp_path / "all"), packing=Packing("zstd", is_forced=True), is_directory=True
    )
    plain = await built(tmp_path, store, Output("store"))
    assert layer_types(store, plain.root) == ["tar", "tar+gzip"]
    other = await built(tmp_path, store, zstd, everything)
    assert layer_types(store, other.root) == ["tar", "tar+zstd"]
    assert other.image_id == plain.image_id, "the config knows nothing of it"
    (entry,) = layout_index(tmp_path / "all")
    assert layer_types(store, Digest.parse(entry["digest"])) == ["tar+zstd", "tar+zstd"]
    again = await built(tmp_path, store, Output("store", packing=Packing("none")))
    assert layer_types(store, again.root) == ["tar", "tar"]


@pytest.mark.skipif(os.getuid() != 0, reason="trees are mounted, by root")
async def test_a_level_makes_the_same_digest_whatever_was_known_before(tmp_path: Path, store: Store) -> None:
    best = Output("store", packing=Packing("gzip", 9))
    first = await built(tmp_path, store, best)
    usual = await built(tmp_path, store, Output("store"))
    assert usual.root != first.root
    assert (await built(tmp_path, store, best)).root == first.root
    with Store(tmp_path / "other") as other:
        put_image(other, "base:1")
        (tmp_path / "elsewhere").mkdir()
        assert (await built(tmp_path / "elsewhere", other, Output("store"))).root == usual.root


async def test_an_archive_that_is_a_directory_is_a_layout_that_keeps_its_other_images(
    tmp_path: Path, store: Store
) -> None:
    layout = Output("oci", str(tmp_path / "layout"), is_directory=True)
    for label in ("1", "2"):
        await build_in(
            tmp_path, store, f"FROM base:1\nLABEL a={label}\n", outputs=(layout,), tags=(f"team/app:{label}",)
        )
    await build_in(
        tmp_path,
        store,
        "FROM base:1\nLABEL a=3\n",
        outputs=(layout,),
        tags=("team/app:1", "team/other:1"),
    )
    entries = {
        one["annotations"]["io.containerd.image.name"]: one for one in layout_index(tmp_path / "layout")
    }
    assert sorted(entries) == [f"docker.io/team/{one}" for one in ("app:1", "app:2", "other:1")]
    for one in entries.values():
        assert (tmp_path / "layout/blobs/sha256" / one["digest"].removeprefix("sha256:")).is_file()
    assert entries["docker.io/team/app:1"]["digest"] == entries["docker.io/team/other:1"]["digest"]
    built_upon = await build_in(
        tmp_path, store, "FROM x\nLABEL c=d\n", contexts={"x": f"oci-layout://{layout.destination}:2"}
    )
    assert len(built_upon.images[0].layers) == 1


async def test_several_platforms_are_an_index_in_a_layout(tmp_path: Path, store: Store) -> None:
    layout = Output("oci", str(tmp_path / "layout"), is_directory=True)
    platforms = (AMD64, Platform("linux", "arm64"))
    await build_in(tmp_path, store, "FROM scratch\nLABEL a=b\n", outputs=(layout,), platforms=platforms)
    (entry,) = layout_index(tmp_path / "layout")
    assert entry["mediaType"] == media_types.OCI_INDEX
    index = json.loads(
        (tmp_path / "layout/blobs/sha256" / entry["digest"].removeprefix("sha256:")).read_text()
    )
    assert [one["platform"]["architecture"] for one in index["manifests"]] == ["amd64", "arm64"]


async def test_a_build_for_its_cache_alone_names_nothing(tmp_path: Path, store: Store) -> None:
    names = len(store.images())
    outcome = await build_in(
        tmp_path, store, "FROM base:1\nLABEL a=b\n", outputs=(Output("cacheonly"),), tags=("app:1",)
    )
    assert outcome.root is None
    assert len(store.images()) == names


async def test_what_cannot_be_pushed_or_written_is_told_before_the_context_is_read(
    tmp_path: Path, store: Store
) -> None:
    (tmp_path / "file").touch()
    pushed = Output("store", is_pushed=True)
    for outputs, tags, problem in (
        ((pushed,), (), "needs a name"),
        ((pushed,), ("team/app:1",), "as in registry.example/team/app:1"),
        ((Output("store", packing=Packing(level=22)),), (), "level 22 of gzip"),
        ((Output("oci", str(tmp_path / "file"), is_directory=True),), (), "expected a directory"),
        ((Output("local", str(tmp_path / "file")),), (), "expected a directory"),
    ):
        with pytest.raises(InputError, match=problem):
            await build(
                BuildRequest("/nowhere", outputs=outputs, tags=tags), surroundings(store, tmp_path), Told()
            )


async def test_an_image_is_pushed_to_the_registry_of_its_name(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\nLABEL a=b\n")
    async with open_upstream() as upstream:
        shoal = CommandLine(tmp_path / "data", upstream)
        name = f"{REGISTRY}/team/app:1"
        told = await shoal.run("build", "--progress=plain", "-t", name, "--push", "--json", str(tmp_path))
        assert told.exit_code == 0, told.output
        held = upstream.shelf.find_manifest("team/app", "1")
        assert held is not None
        assert str(Digest.of(held[1].body)) == json.loads(told.stdout)["digest"]
        assert f"pushing {name}" in told.stderr
        refused = await shoal.run("build", "--push", "--load", "-t", "team/app:1", str(tmp_path))
        assert refused.exit_code == 2
        assert "a name in this cluster" in refused.output


async def test_a_file_archive_is_packed_as_asked(tmp_path: Path, store: Store) -> None:
    file = tmp_path / "image.tar"
    forced = Output("oci", str(file), packing=Packing("gzip", is_forced=True))
    await build_in(tmp_path, store, "FROM base:1\nLABEL a=b\n", outputs=(forced,))
    with tarfile.open(file) as tar:
        index = tar.extractfile("index.json")
        assert index is not None
        digest = json.loads(index.read())["manifests"][0]["digest"]
    assert layer_types(store, Digest.parse(digest)) == ["tar+gzip"]


async def test_a_directory_that_takes_not_every_file_is_a_clear_failure(tmp_path: Path, store: Store) -> None:
    put_image(store, "long:1", files={"x" * 300: b"a name that is longer than a file system takes"})
    with pytest.raises(DiskError, match=r"cannot write the files of the image in .*out: File name too long"):
        await build_in(tmp_path, store, "FROM long:1\n", outputs=(Output("local", str(tmp_path / "out")),))


async def test_a_layout_that_is_broken_is_told_with_its_file(tmp_path: Path, store: Store) -> None:
    (tmp_path / "layout").mkdir()
    (tmp_path / "layout/index.json").write_text("{")
    layout = Output("oci", str(tmp_path / "layout"), is_directory=True)
    with pytest.raises(ContentError, match=r"layout/index\.json"):
        await build_in(tmp_path, store, "FROM base:1\n", outputs=(layout,))
