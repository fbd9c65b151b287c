"""Which files COPY and ADD mean: `what is copied` is told as `name below the destination -> file of the context`."""

import os
from pathlib import Path

import pytest

from agent.content.errors import InputError
from builder.dockerfile.ignore import IgnorePatterns
from builder.layers.selection import Wanted, selected


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """a.txt b.txt ünï.txt [x].txt dir/{c.txt,sub/d.txt} link -> dir file-link -> dir/c.txt out -> ../outside"""
    (tmp_path / "outside").write_text("not yours")
    root = tmp_path / "context"
    (root / "dir/sub").mkdir(parents=True)
    for name in ("a.txt", "b.txt", "ünï.txt", "[x].txt", "dir/c.txt", "dir/sub/d.txt"):
        (root / name).write_text(name)
    (root / "link").symlink_to("dir")
    (root / "file-link").symlink_to("dir/c.txt")
    (root / "out").symlink_to("../outside")
    return root


def picked(root: Path, *paths: str, ignore: str = "", **wanted: object) -> list[tuple[str, str]]:
    """Name and file, from the root; of what is named itself `base`, as `=base`."""
    patterns = IgnorePatterns.parse(ignore.encode())
    found = selected(Wanted(root, paths, patterns, **wanted))  # type: ignore[arg-type]
    return [(f"={one.base}" if one.top else one.name, str(one.path.relative_to(root))) for one in found]


def files(root: Path, *paths: str, **wanted: object) -> list[str]:
    return [path for _, path in picked(root, *paths, **wanted) if not (root / path).is_dir()]  # type: ignore[arg-type]


def test_a_directory_stands_for_what_is_in_it(root: Path) -> None:
    assert picked(root, "dir") == [
        ("=dir", "dir"),
        ("c.txt", "dir/c.txt"),
        ("sub", "dir/sub"),
        ("sub/d.txt", "dir/sub/d.txt"),
    ]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.txt", ["[x].txt", "a.txt", "b.txt", "ünï.txt"]),
        ("?.txt", ["a.txt", "b.txt"]),
        ("[ab].txt", ["a.txt", "b.txt"]),
        ("[^a].txt", ["b.txt"]),
        ("[[]x].txt", ["[x].txt"]),
        ("dir/*.txt", ["dir/c.txt"]),
        ("d*/*/*", ["dir/sub/d.txt"]),
        ("ü*", ["ünï.txt"]),
        ("*.none", []),
        ("none/*", []),
    ],
)
def test_patterns_are_those_of_go_and_may_match_nothing(root: Path, pattern: str, found: list[str]) -> None:
    assert files(root, pattern) == found


@pytest.mark.parametrize("path", [r"\[x].txt", "none", "dir/none", "a.txt/none", "none/a.txt"])
def test_what_is_named_in_full_has_to_be_there(root: Path, path: str) -> None:
    with pytest.raises(InputError, match="not found"):
        files(root, path)


@pytest.mark.parametrize("path", ["../outside", "dir/../../outside", "out", "../../etc/passwd"])
def test_nothing_outside_of_the_root_is_found(root: Path, path: str) -> None:
    with pytest.raises(InputError, match="not found"):
        files(root, path)


def test_dots_at_the_root_stay_at_the_root(root: Path) -> None:
    assert files(root, "../../a.txt") == ["a.txt"]


def test_links_in_the_own_path_are_followed_and_those_below_are_links(root: Path) -> None:
    assert picked(root, "link/c.txt") == [("=c.txt", "dir/c.txt")]
    assert picked(root, "file-link") == [("=file-link", "dir/c.txt")]
    assert [name for name, _ in picked(root, "link")] == ["=link", "c.txt", "sub", "sub/d.txt"]
    assert ("link", "link") in picked(root, ".")
    (root / "circle").symlink_to("circle")
    with pytest.raises(Exception, match="symbolic links"):
        files(root, "circle")


def test_a_mount_s_path_is_no_pattern(root: Path) -> None:
    assert files(root, "[x].txt", literal=True) == ["[x].txt"]
    with pytest.raises(InputError, match="not found"):
        files(root, "*.txt", literal=True)


def test_with_parents_the_way_comes_along_from_the_pivot_on(root: Path) -> None:
    assert picked(root, "dir/sub/d.txt", parents=True) == [
        ("dir", "dir"),
        ("dir/sub", "dir/sub"),
        ("=d.txt", "dir/sub/d.txt"),
    ]
    assert picked(root, "dir/./sub/*.txt", parents=True) == [
        ("sub", "dir/sub"),
        ("sub/d.txt", "dir/sub/d.txt"),
    ]


@pytest.mark.parametrize(
    ("excludes", "found"),
    [
        (("*.txt",), ["dir/sub/d.txt"]),
        (("**/*.txt",), []),
        (("sub",), ["dir/c.txt"]),
        (("sub", "!sub/d.txt"), ["dir/c.txt", "dir/sub/d.txt"]),
        (("c.txt", "sub/d.txt"), []),
        (("dir/c.txt",), ["dir/c.txt", "dir/sub/d.txt"]),
    ],
)
def test_excludes_count_from_the_copied_directory(
    root: Path, excludes: tuple[str, ...], found: list[str]
) -> None:
    assert files(root, "dir", excludes=excludes) == found


@pytest.mark.parametrize(
    ("ignore", "found"),
    [
        ("*.txt", ["dir/c.txt", "dir/sub/d.txt", "file-link", "out"]),
        ("dir", ["[x].txt", "a.txt", "b.txt", "file-link", "out", "ünï.txt"]),
        ("*\n!dir/sub/d.txt", ["dir/sub/d.txt"]),
        ("*\n!*.txt\na.txt", ["[x].txt", "b.txt", "ünï.txt"]),
        ("**/*.txt\nout\nfile-link", []),
    ],
)
def test_what_is_ignored_is_not_there_and_exceptions_are(root: Path, ignore: str, found: list[str]) -> None:
    assert [path for path in files(root, ".", ignore=ignore) if path != "link"] == found


def test_what_is_ignored_is_said_to_be(root: Path) -> None:
    with pytest.raises(InputError, match=r"left out by \.dockerignore"):
        files(root, "a.txt", ignore="*.txt")
    assert files(root, "*.txt", ignore="a.txt") == ["[x].txt", "b.txt", "ünï.txt"]


def test_a_link_does_not_bring_in_what_is_ignored(root: Path) -> None:
    with pytest.raises(InputError, match=r"left out by \.dockerignore"):
        files(root, "file-link", ignore="dir/c.txt")
    with pytest.raises(InputError, match=r"left out by \.dockerignore"):
        files(root, "link", ignore="dir")


def test_names_that_are_no_text_are_files_as_others(root: Path) -> None:
    (root / os.fsdecode(b"\xff\xfe")).write_text("odd")
    assert os.fsdecode(b"\xff\xfe") in files(root, ".")
