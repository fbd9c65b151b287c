"""What builds keep goes when it is asked for, and beyond its limit on its own."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from agent.store.store import Store
from builder.build import BuildOutcome, build
from builder.prune_command import build_prune
from builder.request import BuildRequest
from tests.builder.building import Told, put_image, surroundings

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="unpacked layers are mounted, by root")


async def test_unpacked_layers_results_and_cache_mounts_go(tmp_path: Path) -> None:
    with Store(tmp_path / "data/store") as store:
        put_image(store, "base:1")
        await _build(tmp_path, store)
    mount = tmp_path / "data/build/mounts/ab-0"
    mount.mkdir(parents=True)
    mount.with_suffix(".lock").touch()
    environment = {"SHOAL_NODE_DATA_DIR": str(tmp_path / "data"), "SHOAL_CONFIG": os.devnull}
    runner = CliRunner()
    told = runner.invoke(build_prune, ["-f", "--json", "--unused-for", "1h"], env=environment)
    assert json.loads(told.stdout) | {"freed_bytes": 0} == {
        "snapshots": 2, "cache_mounts": 0, "results": 0, "freed_bytes": 0,
    }  # fmt: skip
    told = runner.invoke(build_prune, ["-f", "--json"], env=environment)
    assert json.loads(told.stdout)["cache_mounts"] == 1
    assert json.loads(told.stdout)["results"] == 2
    assert list((tmp_path / "data/build/snapshots/chains").iterdir()) == []
    assert runner.invoke(build_prune, env=environment, input="n\n").exit_code == 0
    assert runner.invoke(build_prune, ["-f", "--unused-for", "x"], env=environment).exit_code == 2
    assert runner.invoke(build_prune, ["--json"], env=environment).exit_code == 2


async def test_a_build_removes_what_is_beyond_the_limit(tmp_path: Path) -> None:
    with Store(tmp_path / "store") as store:
        put_image(store, "base:1")
        await _build(tmp_path, store, build_keep_storage="1KB")
        assert list((tmp_path / "data/build/snapshots/chains").iterdir()) == []
        assert (
            await _build(tmp_path, store)
        ).cached == 1  # the results stay, and so do the layers in the store


async def _build(tmp_path: Path, store: Store, **settings: object) -> BuildOutcome:
    (tmp_path / "context").mkdir(exist_ok=True)
    (tmp_path / "context/Dockerfile").write_text("FROM base:1\nCOPY Dockerfile /\n")
    request = BuildRequest(str(tmp_path / "context"))
    return await build(request, surroundings(store, tmp_path, **settings), Told())
