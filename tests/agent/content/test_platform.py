"""Platforms: which entry of an index runs on a machine, and runs best."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.content.digest import Digest
from agent.content.document import Descriptor, Document
from agent.content.errors import InputError
from agent.content.media_types import OCI_INDEX, OCI_MANIFEST
from agent.content.platform import Platform


def pick(machine: str, *entries: str | None) -> str | None:
    """What a machine takes from an index of these platforms."""
    manifests = tuple(
        Descriptor(OCI_MANIFEST, Digest.of(str(n).encode()), 1, Platform.parse(entry) if entry else None)
        for n, entry in enumerate(entries)
    )
    best = Document(OCI_INDEX, manifests=manifests).pick(Platform.parse(machine))
    return None if best is None else entries[manifests.index(best)]


@pytest.mark.parametrize(
    ("machine", "entries", "best"),
    [
        ("linux/amd64", ["linux/arm64", "linux/amd64"], "linux/amd64"),
        ("linux/amd64", ["windows/amd64", "linux/386"], None),
        ("linux/amd64", ["linux/amd64/v3", "linux/amd64/v1"], "linux/amd64/v1"),
        ("linux/amd64", ["linux/amd64/v3"], None),
        ("linux/amd64/v3", ["linux/amd64", "linux/amd64/v2", "linux/amd64/v4"], "linux/amd64/v2"),
        ("linux/arm64", ["linux/arm64/v8"], "linux/arm64/v8"),
        ("linux/arm64/v8", ["linux/arm64"], "linux/arm64"),
        ("linux/arm", ["linux/arm/v5", "linux/arm/v6", "linux/arm/v7"], "linux/arm/v7"),
        ("linux/arm/v7", ["linux/arm/v5", "linux/arm/v6"], "linux/arm/v6"),
        ("linux/arm/v6", ["linux/arm/v7"], None),
        ("linux/arm/v6", ["linux/arm/v7", "linux/arm/v5"], "linux/arm/v5"),
        ("linux/amd64", [None, "linux/amd64"], "linux/amd64"),
        ("linux/amd64", [None, "unknown/unknown"], None),
        ("linux/amd64", [], None),
        ("linux/riscv64", ["linux/riscv64/rva22"], None),
    ],
)
def test_a_machine_takes_the_entry_that_runs_best(
    machine: str, entries: list[str | None], best: str | None
) -> None:
    assert pick(machine, *entries) == best


def test_the_first_of_equals_is_taken() -> None:
    entry = Descriptor(OCI_MANIFEST, Digest.of(b"1"), 1, Platform("linux", "amd64"))
    other = Descriptor(OCI_MANIFEST, Digest.of(b"2"), 1, Platform("linux", "amd64"))
    assert Document(OCI_INDEX, manifests=(entry, other)).pick(Platform("linux", "amd64")) is entry


@pytest.mark.parametrize(
    ("word", "platform"),
    [
        ("x86_64", "linux/amd64"),
        ("aarch64", "linux/arm64"),
        ("armv7l", "linux/arm/v7"),
        ("armv6l", "linux/arm/v6"),
        ("i686", "linux/386"),
        ("ppc64le", "linux/ppc64le"),
        ("riscv64", "linux/riscv64"),
    ],
)
def test_a_machine_is_known_by_its_uname(word: str, platform: str) -> None:
    assert str(Platform.of_machine(word)) == platform


def test_machine_names_are_accepted_where_people_write_a_platform() -> None:
    assert Platform.parse("Linux/x86_64") == Platform("linux", "amd64")
    assert Platform.parse("linux/armhf") == Platform("linux", "arm", "v7")
    assert Platform.parse("linux/arm/v6") == Platform("linux", "arm", "v6")


@pytest.mark.parametrize(
    "text", ["", "linux", "linux/", "/amd64", "a/b/c/d", "linux/amd 64", "linux/\N{MICRO SIGN}"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="expected OS/ARCH"):
        Platform.parse(text)


@given(st.text(max_size=30))
def test_any_text_is_a_platform_or_an_input_error(text: str) -> None:
    try:
        platform = Platform.parse(text)
    except InputError:
        return
    assert Platform.parse(str(platform)) == platform
    assert platform.fits(platform) > 0
