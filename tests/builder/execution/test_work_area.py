"""Where builds work: nothing of a dead one is left, and nothing of a living one is touched."""

import os
import subprocess
from pathlib import Path

import pytest

from agent.content.errors import DiskError
from agent.store.file_lock import try_lock
from builder.execution.work_area import open_work_area
from builder.run.left_behind import ALIVE


def test_directories_are_new_and_go_with_the_area(tmp_path: Path) -> None:
    with open_work_area(tmp_path / "work") as area:
        assert area.directory("run") != area.directory("run")
        (area.directory("x") / "file").touch()
        assert area.root.stat().st_mode & 0o777 == 0o700
    assert list((tmp_path / "work").iterdir()) == []


def test_nothing_is_made_before_somebody_needs_it_nor_afterwards(tmp_path: Path) -> None:
    with open_work_area(tmp_path) as area:
        assert list(tmp_path.iterdir()) == []
    with pytest.raises(DiskError, match="cannot make a directory"):
        area.directory("late")
    assert list(tmp_path.iterdir()) == []


def test_it_goes_when_the_build_fails(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="why"), open_work_area(tmp_path) as area:
        area.directory("x")
        raise ValueError("why")
    assert list(tmp_path.iterdir()) == []


def test_dead_areas_are_swept_and_living_ones_stay(tmp_path: Path) -> None:
    for name in ("killed", "before-it-was-locked"):
        (tmp_path / name / "deep").mkdir(parents=True)
        (tmp_path / name / "deep/file").touch()
    (tmp_path / "killed" / ALIVE).touch()
    with open_work_area(tmp_path) as living:
        kept = living.directory("x") / "file"
        kept.touch()
        assert {path.name for path in tmp_path.iterdir()} == {living.root.name}
        with open_work_area(tmp_path) as other:
            assert other.root != living.root
            assert kept.exists()
        assert kept.exists()
        lock = try_lock(living.root / ALIVE, create=False)
        assert lock is None


def test_links_in_a_dead_area_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious/file").touch()
    (tmp_path / "work/killed").mkdir(parents=True)
    (tmp_path / "work/killed/link").symlink_to(tmp_path / "precious")
    with open_work_area(tmp_path / "work"):
        pass
    assert (tmp_path / "precious/file").exists()


@pytest.mark.skipif(os.getuid() != 0, reason="mounts are root's")
def test_nothing_is_removed_through_a_mount(scratch: Path) -> None:
    (scratch / "precious").mkdir()
    (scratch / "precious/file").touch()
    for target in ("killed/a b", "killed/ü\n"):
        (scratch / "work" / target).mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "--bind", scratch / "precious", scratch / "work" / target], check=True)
    with open_work_area(scratch / "work"):
        assert not (scratch / "work/killed").exists()
    assert (scratch / "precious/file").exists()


def test_without_a_place_the_disk_is_to_blame(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DiskError, match="cannot make a work directory"), open_work_area(tmp_path / "file/x"):
        pass
