"""The layer of what changed, laid above what was, is what is now."""

import io
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from agent.images.layer_diff import changes_between, write_layer
from agent.images.root_fs import RootFs
from agent.images.tar_entry import Kind, TarEntry
from tests.agent.images.test_root_fs import contents, directory, exported, link, root_of
from tests.agent.images.test_tar import Member, file, members_of, tar


def layer_of(old: list[Member], new: list[Member]) -> list[Member]:
    new_root, written = root_of(new), io.BytesIO()
    write_layer(new_root, changes_between(root_of(old), new_root), written.write)
    return members_of(written.getvalue())


_paths = st.sampled_from(["a", "b", "d", "d/a", "d/b", "d/e", "d/e/f"])
_data = st.sampled_from([b"", b"1", b"22", b"333"])


@st.composite
def _trees(draw: st.DrawFn) -> list[Member]:
    """Directories before what is in them, files where no directory is."""
    found: dict[str, Member] = {}
    for path in sorted(draw(st.sets(_paths))):
        folder = path.rpartition("/")[0]
        if folder and (folder not in found or found[folder][0].kind is not Kind.DIRECTORY):
            continue
        mode = draw(st.sampled_from([0o600, 0o755]))
        kind = draw(st.sampled_from(["directory", "file", "symlink"]))
        if kind == "directory":
            found[path] = directory(path, mode=mode)
        elif kind == "symlink":
            found[path] = link(path, draw(st.sampled_from(["x", "y"])), Kind.SYMLINK, mode=0o777)
        else:
            found[path] = file(path, draw(_data), mode=mode)
    return list(found.values())


def tree(root: RootFs) -> dict[str, tuple[TarEntry, bytes | None]]:
    found = {name: data for name, (_, data) in exported(root).items()}
    return {path: (replace(node.entry, name=""), found[path]) for path, node in root.walk()}


@given(_trees(), _trees())
def test_old_and_the_layer_above_it_are_the_new(old: list[Member], new: list[Member]) -> None:
    assert tree(root_of(old, layer_of(old, new))) == tree(root_of(new))


@given(_trees())
def test_nothing_changed_is_no_change(one: list[Member]) -> None:
    assert not changes_between(root_of(one), root_of(one))


def test_whiteouts_stand_before_their_siblings_and_below_their_directory() -> None:
    old = [directory("d"), file("d/gone", b"1"), file("d/kept", b"2")]
    names = [
        entry.name for entry, _ in layer_of(old, [directory("d"), file("d/kept", b"2"), file("d/a", b"3")])
    ]
    assert names == ["d/", "d/.wh.gone", "d/a"]


def test_a_second_name_of_a_changed_file_is_a_link_and_of_an_unchanged_one_a_whole_file() -> None:
    old = [file("kept", b"1")]
    new = [
        file("kept", b"1"),
        link("again", "kept", mode=0o644),
        file("x", b"22"),
        link("y", "x", mode=0o644),
    ]
    layer = layer_of(old, new)
    assert [(entry.name, entry.kind, data) for entry, data in layer] == [
        ("again", Kind.FILE, b"1"),
        ("x", Kind.FILE, b"22"),
        ("y", Kind.HARD_LINK, b""),
    ]
    assert contents(old, layer) == {"kept": b"1", "again": b"1", "x": b"22", "y": b"22"}


def test_times_are_whole_seconds_and_owners_numbers() -> None:
    ((entry, _),) = layer_of([], [file("a", b"1", mtime_ns=5_700_000_000, user="me", group="us", uid=7)])
    assert (entry.mtime_ns, entry.user, entry.group, entry.uid) == (5_000_000_000, "", "", 7)


def test_a_layer_is_the_same_bytes_for_the_same_change() -> None:
    old, new = [file("a", b"1")], [file("b", b"2")]
    assert tar(*layer_of(old, new)) == tar(*layer_of(old, new))
