"""Builds from a program."""

import os
import re
import runpy
from pathlib import Path

import pytest
import trio

from agent.content.errors import InputError
from agent.images.names import given_name
from agent.settings.loader import load_settings
from agent.settings.settings import Settings
from agent.store.store import Store
from builder.builder import open_builder
from builder.dockerfile.failure import DockerfileError
from builder.output import Output
from builder.request import BuildRequest
from tests.builder.building import put_image

_DOCUMENT = Path(__file__).parents[2] / "docs/build.md"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    environment = {"SHOAL_NODE_DATA_DIR": str(tmp_path / "data"), "SHOAL_STORE_FLOOR_FREE": "0"}
    return load_settings(None, environment | {"SHOAL_CONFIG": os.devnull}, {})


def test_the_example_of_the_document_works_as_it_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", _DOCUMENT.read_text(), re.DOTALL)
    monkeypatch.setenv("SHOAL_NODE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("SHOAL_CONFIG", os.devnull)
    monkeypatch.chdir(tmp_path)
    with Store(tmp_path / "data/store") as store:
        put_image(store, "base:1")
    Path("example.py").write_text(example)
    Path("Dockerfile").write_text("FROM base:1\nLABEL a=b\n")
    runpy.run_path("example.py")
    Path("Dockerfile").write_text("FROM base:1\nLABLE a=b\n")
    runpy.run_path("example.py")
    built, failed = capsys.readouterr().out.split("Dockerfile:2:1", 1)
    assert "#2 [internal] load metadata for base:1" in built
    assert "did you mean LABEL?" in failed
    with Store(tmp_path / "data/store") as store:
        tag = store.find_tag(given_name("team/app:1").repository, "1")
        assert tag is not None
        assert str(tag.descriptor.digest) in built


async def test_builds_at_the_same_time_share_a_builder_and_the_cluster_knows_their_names(
    tmp_path: Path, settings: Settings
) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\nARG NAME\nLABEL name=$NAME\n")

    async def build_one(name: str) -> None:
        await builder.build(
            BuildRequest(context=str(tmp_path), tags=(name,), build_args={"NAME": name}),
        )

    async with open_builder(settings) as builder, trio.open_nursery() as nursery:
        for name in ("a:1", "b:1"):
            nursery.start_soon(build_one, name)
    with Store(tmp_path / "data/store") as store:
        for name in ("a", "b"):
            tag = store.find_tag(given_name(f"{name}:1").repository, "1")
            known = store.pushed.find(given_name(name).repository.name, "1")
            assert tag is not None
            assert known is not None
            assert tag.descriptor.digest == known.digest


async def test_a_failure_leaves_the_builder_as_what_it_is(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\nNO a=b\n")
    with pytest.raises(DockerfileError):
        async with open_builder(settings) as builder:
            await builder.build(BuildRequest(context=str(tmp_path)))
    with pytest.raises(InputError):
        async with open_builder(settings) as builder:
            await builder.build(BuildRequest(context=str(tmp_path), outputs=(Output("tar", "/nowhere/x"),)))
