"""Locks of files that may be deleted at any time."""

import os
from pathlib import Path

import pytest

from agent.store.file_lock import try_lock


def test_a_file_is_locked_by_one_at_a_time(tmp_path: Path) -> None:
    fd = try_lock(tmp_path / "a", create=True)
    assert fd is not None
    assert try_lock(tmp_path / "a", create=False) is None
    assert try_lock(tmp_path / "a", create=True) is None
    os.close(fd)
    again = try_lock(tmp_path / "a", create=False)
    assert again is not None
    os.close(again)


def test_a_file_that_is_gone_is_nobody_s(tmp_path: Path) -> None:
    assert try_lock(tmp_path / "a", create=False) is None


def test_without_its_directory_no_other_name_would_do_either(tmp_path: Path) -> None:
    """Whoever tries names until one is free would try for ever."""
    with pytest.raises(FileNotFoundError):
        try_lock(tmp_path / "gone" / "a", create=True)
