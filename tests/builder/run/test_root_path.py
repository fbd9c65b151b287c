"""Paths of a container, as paths of this machine that stay inside of its root."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.run.errors import RunError
from builder.run.root_path import path_in_root, read_in_root


@pytest.mark.parametrize(
    ("link", "target", "path", "found"),
    [
        ("etc", "/usr/etc", "/etc/passwd", "usr/etc/passwd"),
        ("etc", "../../../../elsewhere", "/etc/passwd", "elsewhere/passwd"),
        ("a", "b/../c", "/a/d", "c/d"),
        ("a", "/", "/a/a/a/x", "x"),
        ("a", ".", "/../../a/./x", "x"),
    ],
)
def test_links_are_followed_as_inside_the_container(
    tmp_path: Path, link: str, target: str, path: str, found: str
) -> None:
    (tmp_path / link).symlink_to(target)
    assert path_in_root(tmp_path, path) == tmp_path / found


def test_links_in_a_circle_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(RunError, match="too many symbolic links"):
        path_in_root(tmp_path, "/a")


@given(st.text(alphabet="ab./", max_size=30))
def test_nothing_leads_out(path: str) -> None:
    root = Path("/nowhere/root")
    assert path_in_root(root, path).is_relative_to(root)
    assert ".." not in path_in_root(root, path).parts


def test_only_regular_files_of_sensible_size_are_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("/file")
    (tmp_path / "out").symlink_to("/../../../../../../etc/passwd")
    (tmp_path / "directory").mkdir()
    assert read_in_root(tmp_path, "/link") == b"x"
    assert [read_in_root(tmp_path, name) for name in ("/out", "/directory", "/nothing")] == [None] * 3
    with open(tmp_path / "huge", "wb") as file:
        file.truncate(17 * 1024 * 1024)
    with pytest.raises(RunError, match="larger than"):
        read_in_root(tmp_path, "/huge")
