"""A disk that is full says what would make room; and room can be made there."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from agent.content.errors import DiskError, InputError
from agent.store.store import Store
from builder.execution.full_disk import with_help
from builder.execution.step_failure import StepFailed
from builder.prune_command import build_prune
from tests.builder.building import build_in, put_image
from tests.clients.scratch import mounts_below

_FULL = "cannot write in /x: No space left on device"
_needs_root = pytest.mark.skipif(os.getuid() != 0, reason="a file system of its own, by root")


@pytest.fixture
def small_disk(scratch: Path) -> Iterator[Path]:
    """Of 8 MiB."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", scratch], check=True)
    try:
        yield scratch
    finally:
        subprocess.run(["umount", "--lazy", scratch], check=True)


def test_only_a_full_disk_is_told_how_to_make_room(tmp_path: Path) -> None:
    for error in (DiskError(_FULL), StepFailed("COPY a /", 2, DiskError(_FULL))):
        helped = with_help(error, tmp_path)
        assert type(helped) is type(error)
        assert "`shoal build-prune`" in str(helped)
    for other in (
        DiskError("cannot write in /x: Permission denied"),
        InputError(_FULL),
        StepFailed("RUN", 1, "no"),
    ):
        assert with_help(other, tmp_path) is other


@_needs_root
async def test_a_step_that_fills_the_disk_says_so_and_leaves_nothing(
    small_disk: Path, tmp_path: Path
) -> None:
    (small_disk / "context").symlink_to(tmp_path)
    (tmp_path / "big").write_bytes(os.urandom(16 << 20))
    with Store(small_disk / "store") as store:
        put_image(store, "base:1")
        with pytest.raises(StepFailed, match=r"No space left on device.*`shoal build-prune`") as failed:
            await build_in(small_disk, store, "FROM base:1\nCOPY big /\n")
        assert failed.value.line == 2
        assert all(store.verify(digest) for digest, _ in store.complete_digests())
    assert mounts_below(small_disk) == [str(small_disk)]
    assert list((small_disk / "data/build/work").iterdir()) == []


@_needs_root
def test_room_is_made_where_there_is_none_for_a_database(small_disk: Path) -> None:
    Store(small_disk / "data/store").close()
    mount = small_disk / "data/build/mounts/ab-0"
    mount.mkdir(parents=True)
    mount.with_suffix(".lock").touch()
    fill(mount / "cached")
    environment = {"SHOAL_NODE_DATA_DIR": str(small_disk / "data"), "SHOAL_CONFIG": os.devnull}
    told = CliRunner().invoke(build_prune, ["-f", "--json"], env=environment)
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout)["freed_bytes"] > 4 << 20


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(bytes(1 << 16))
