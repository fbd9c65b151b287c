"""Layers one above the other, without unpacking anything."""

import io
import tarfile

import pytest

from agent.content.errors import ContentError
from agent.images.root_fs import RootFs
from agent.images.tar_entry import Kind, TarEntry
from tests.agent.images.test_tar import Member, file, tar


def directory(name: str, **fields: object) -> Member:
    return TarEntry(f"{name}/", Kind.DIRECTORY, **({"mode": 0o755} | fields)), b""  # type: ignore[arg-type]


def link(name: str, target: str, kind: Kind = Kind.HARD_LINK, **fields: object) -> Member:
    return TarEntry(name, kind, link_name=target, **fields), b""  # type: ignore[arg-type]


def root_of(*layers: list[Member]) -> RootFs:
    bodies = [tar(*layer) for layer in layers]
    return RootFs.of([lambda body=body: io.BytesIO(body).read for body in bodies])  # type: ignore[misc]


def exported(root: RootFs) -> dict[str, tuple[tarfile.TarInfo, bytes | None]]:
    written = io.BytesIO()
    root.export(written.write)
    written.seek(0)
    with tarfile.open(fileobj=written) as archive:
        return {member.name: (member, _content(archive, member)) for member in archive}


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes | None:
    data = None if member.issym() else archive.extractfile(member)
    return None if data is None else data.read()


def contents(*layers: list[Member]) -> dict[str, bytes | None]:
    return {name: data for name, (_, data) in exported(root_of(*layers)).items()}


def test_the_upper_layer_wins_and_the_rest_stays() -> None:
    assert contents([file("a", b"1"), file("b", b"2")], [file("b", b"3")]) == {"a": b"1", "b": b"3"}


def test_a_whiteout_hides_what_is_below_and_not_what_is_in_its_own_layer() -> None:
    below = [directory("d"), file("d/a", b"1"), file("d/b", b"2")]
    assert contents(below, [file("d/.wh.a")]) == {"d": None, "d/b": b"2"}
    assert contents(below, [file(".wh.d")]) == {}
    for upper in ([file("d/a", b"new"), file("d/.wh.a")], [file("d/.wh.a"), file("d/a", b"new")]):
        assert contents(below, upper) == {"d": None, "d/a": b"new", "d/b": b"2"}


def test_an_opaque_directory_hides_all_below_wherever_its_mark_stands() -> None:
    below = [directory("d"), directory("d/deep"), file("d/deep/a", b"1"), file("d/b", b"2")]
    mark, new = file("d/.wh..wh..opq"), [directory("d/deep"), file("d/deep/new", b"3")]
    for upper in ([mark, *new], [*new, mark]):
        assert contents(below, upper) == {"d": None, "d/deep": None, "d/deep/new": b"3"}


def test_a_directory_above_a_directory_keeps_what_is_in_it() -> None:
    found = exported(
        root_of([directory("d", mode=0o700), file("d/a", b"1")], [directory("d", mode=0o755, uid=5)])
    )
    assert (found["d"][0].mode, found["d"][0].uid, found["d/a"][1]) == (0o755, 5, b"1")


def test_a_file_replaces_a_directory_and_the_other_way_round() -> None:
    below = [directory("d"), file("d/a", b"1"), file("f", b"2")]
    assert contents(below, [file("d", b"file"), directory("f"), file("f/x", b"3")]) == {
        "d": b"file",
        "f": None,
        "f/x": b"3",
    }


def test_hard_links_stay_links_and_outlive_the_first_name() -> None:
    below = [file("a", b"1"), link("b", "a"), link("c", "a")]
    found = exported(root_of(below))
    assert [name for name, (member, _) in found.items() if member.islnk()] == ["b", "c"]
    assert contents(below, [file(".wh.a")]) == {"b": b"1", "c": b"1"}
    assert contents(below, [file("a", b"new")]) == {"a": b"new", "b": b"1", "c": b"1"}


def test_directories_that_no_layer_made_are_made() -> None:
    assert contents([file("a/b/c", b"1")]) == {"a": None, "a/b": None, "a/b/c": b"1"}


def test_extended_attributes_stay_except_what_an_overlay_noted_for_itself() -> None:
    pax = {"SCHILY.xattr.security.capability": b"x", "SCHILY.xattr.trusted.overlay.opaque": b"y"}
    (member, _) = exported(root_of([file("a", b"1", pax=pax)]))["a"]
    assert [key for key in member.pax_headers if "xattr" in key] == ["SCHILY.xattr.security.capability"]


@pytest.mark.parametrize(
    "layer",
    [
        [file("../x")],
        [file("/etc/passwd")],
        [link("a", "../../etc/passwd")],
        [link("a", "nothing")],
        [directory("d"), link("a", "d")],
        [link("s", "/etc", Kind.SYMLINK, mode=0o777), file("s/passwd", b"mine")],
        [file("d/.wh...")],
        [file(".wh.")],
    ],
)
def test_layers_that_lead_out_of_the_root_or_that_engines_disagree_on_are_refused(
    layer: list[Member],
) -> None:
    with pytest.raises(ContentError):
        root_of(layer)


def test_a_directory_in_place_of_a_symlink_below_is_no_way_through_it() -> None:
    below = [link("s", "/etc", Kind.SYMLINK, mode=0o777)]
    assert contents(below, [file("s/passwd", b"mine")]) == {"s": None, "s/passwd": b"mine"}
