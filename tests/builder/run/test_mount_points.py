"""Mount points that an image has no place for come and go unseen."""

import os
from pathlib import Path

from builder.run.mount_points import MountPoints

LONG_AGO = 1_000_000_000_000_000_000


def test_what_was_missing_is_made_and_gone_afterwards_and_no_time_changes(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    for directory in (tmp_path / "etc", tmp_path):
        os.utime(directory, ns=(LONG_AGO, LONG_AGO))
    points = MountPoints(tmp_path, [("/etc/hosts", False), ("/var/cache/apt", True)])
    points.make()
    assert (tmp_path / "etc/hosts").is_file()
    assert (tmp_path / "var/cache/apt").is_dir()
    points.remove()
    assert os.listdir(tmp_path) == ["etc"]
    assert os.listdir(tmp_path / "etc") == []
    assert {(tmp_path / name).stat().st_mtime_ns for name in (".", "etc")} == {LONG_AGO}


def test_what_was_there_stays_and_what_a_run_put_there_too(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/hosts").touch()
    points = MountPoints(tmp_path, [("/etc/hosts", False), ("/root/.cache/pip", True)])
    points.make()
    (tmp_path / "root/.cache/other").touch()
    points.remove()
    assert (tmp_path / "etc/hosts").exists()
    assert os.listdir(tmp_path / "root/.cache") == ["other"]


def test_mounts_inside_of_other_mounts_need_no_place_in_the_image(tmp_path: Path) -> None:
    points = MountPoints(tmp_path, [("/dev/pipes", True), ("/src", True), ("/src/cache", True)])
    points.make()
    assert sorted(os.listdir(tmp_path)) == ["src"]
    assert os.listdir(tmp_path / "src") == []


def test_a_link_that_a_run_put_in_the_way_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "hosts").touch()
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    points = MountPoints(root, [("/etc/hosts", False)])
    points.make()
    (root / "etc/hosts").unlink()
    (root / "etc").rmdir()
    (root / "etc").symlink_to(outside)
    points.remove()
    assert (outside / "hosts").exists()
    assert (root / "etc").is_symlink()
