"""On a disk that is full to the last byte images can still be listed and removed."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from agent.store.reserve import RESERVE_BYTES
from agent.store.store import Store
from shoal import main
from tests.builder.execution.test_full_disk import fill

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="a file system of its own, by root")


@contextmanager
def small_disk(directory: Path, mebibytes: int) -> Iterator[Path]:
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", directory], check=True)
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", directory], check=True)


def shoal(disk: Path, *arguments: str) -> Result:
    environment = {"SHOAL_NODE_DATA_DIR": str(disk / "data"), "SHOAL_CONFIG": os.devnull}
    return CliRunner().invoke(main, [*arguments], env={**environment, "SHOAL_STORE_FLOOR_FREE": "0"})


def test_images_are_listed_and_removed_on_a_full_disk(tmp_path: Path) -> None:
    with small_disk(tmp_path, 80) as disk:
        layer = disk / "layer.tar"
        layer.write_bytes(bytes(10240))
        for name in ("a:1", "b:1"):
            assert shoal(disk, "import", str(layer), name).exit_code == 0
        reserve = disk / "data/store/reserve"
        assert reserve.stat().st_size == RESERVE_BYTES
        fill(disk / "other")
        for command in (["images"], ["rmi", "a:1"], ["prune", "-f"], ["build-prune", "-f"]):
            told = shoal(disk, *command)
            assert told.exit_code == 0, told.output
        listed = shoal(disk, "images", "--format", "{{.Repository}}").stdout
        assert listed.split() == ["b"]
        (disk / "other").unlink()
        assert shoal(disk, "images").exit_code == 0
        assert reserve.stat().st_size == RESERVE_BYTES


def test_a_small_disk_is_left_to_others(tmp_path: Path) -> None:
    with small_disk(tmp_path, 16) as disk, Store(disk / "store"):
        assert not (disk / "store/reserve").exists()
