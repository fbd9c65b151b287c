"""References as people write them, and what they mean: Docker's rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.content.errors import InputError
from agent.content.reference import Reference, Repository, is_tag, looks_like_registry, parse_registry

_HEX = "ab" * 32
_DIGEST = f"sha256:{_HEX}"


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("alpine", "docker.io/library/alpine:latest"),
        ("alpine:3.20", "docker.io/library/alpine:3.20"),
        ("user/x", "docker.io/user/x:latest"),
        ("docker.io/alpine", "docker.io/library/alpine:latest"),
        ("docker.io/library/alpine", "docker.io/library/alpine:latest"),
        ("index.docker.io/user/x", "docker.io/user/x:latest"),
        ("registry-1.docker.io/alpine", "docker.io/library/alpine:latest"),
        ("localhost/x", "localhost/x:latest"),
        ("localhost:5000/x", "localhost:5000/x:latest"),
        ("localhost:5000", "docker.io/library/localhost:5000"),
        (f"host:5000/x:tag@{_DIGEST}", f"host:5000/x:tag@{_DIGEST}"),
        (f"alpine@{_DIGEST}", f"docker.io/library/alpine@{_DIGEST}"),
        (f"alpine:3@{_DIGEST}", f"docker.io/library/alpine:3@{_DIGEST}"),
        ("quay.io/a/b/c/d:v1", "quay.io/a/b/c/d:v1"),
        ("Quay.IO/a/b", "quay.io/a/b:latest"),
        ("[::1]/x", "[::1]/x:latest"),
        ("[2001:DB8::1]:5000/x:t", "[2001:db8::1]:5000/x:t"),
        ("192.168.0.1:5000/x", "192.168.0.1:5000/x:latest"),
        ("a__b/c---d/e.f_g", "docker.io/a__b/c---d/e.f_g:latest"),
        ("x:Tag_1.2-" + "a" * 100, "docker.io/library/x:Tag_1.2-" + "a" * 100),
    ],
)
def test_a_reference_means_what_docker_takes_it_for(text: str, meaning: str) -> None:
    reference = Reference.parse(text)
    assert str(reference) == meaning
    assert Reference.parse(meaning) == reference


def test_a_digest_decides_where_there_is_a_tag_too() -> None:
    assert Reference.parse(f"alpine:3@{_DIGEST}").target == _DIGEST
    assert Reference.parse("alpine:3").target == "3"
    assert Reference.parse("alpine").target == "latest"


def test_short_names_belong_to_the_default_registry() -> None:
    assert str(Reference.parse("team/app", "registry.local:5000")) == "registry.local:5000/team/app:latest"
    assert str(Reference.parse("app", "registry.local:5000")) == "registry.local:5000/app:latest"


@pytest.mark.parametrize(
    "text",
    [
        "",
        " alpine",
        "alpine ",
        "alpine\n",
        "Alpine",
        "user/Alpine",
        "HOST/x",
        "alpine:",
        "alpine:" + "t" * 129,
        "alpine:.tag",
        "alpine:a:b",
        "alpine@",
        "alpine@sha256:abc",
        f"@{_DIGEST}",
        f"alpine@{_DIGEST}:tag",
        f"alpine@{_DIGEST}@{_DIGEST}",
        "/alpine",
        "alpine/",
        "a//b",
        "a/../b",
        "../etc/passwd",
        "docker.io/",
        "host:/x",
        "host:0/x",
        "host:99999/x",
        "host:123456/x",
        "-host.io/x",
        "host-.io/x",
        "ho st.io/x",
        "[::1/x",
        "[:::]/x",
        "[1.2.3.4]/x",
        "x_",
        "_x",
        "x___y",
        "x..y",
        "x._y",
        "\N{LATIN SMALL LETTER E WITH ACUTE}",
        "https://docker.io/alpine",
        "user:password@host.io/x",
        "host.io/x?y",
        "host.io/x%2fy",
    ],
)
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        Reference.parse(text)


def test_a_name_has_at_most_255_characters_with_its_registry() -> None:
    assert str(Repository.of("quay.io", "a" * 247)) == "quay.io/" + "a" * 247
    with pytest.raises(InputError, match="at most 255 characters"):
        Repository.of("quay.io", "a" * 248)


def test_long_hostile_names_are_refused_at_once() -> None:
    for text in ("a-" * 500_000 + "!", "a" + "-" * 1_000_000, "a." * 500_000 + "/x", "[" + ":" * 500_000):
        with pytest.raises(InputError) as caught:
            Reference.parse(text)
        assert len(str(caught.value)) < 1000


@given(st.text(max_size=80) | st.text("aA.:/@-_[]0 ", max_size=30))
def test_any_text_is_a_reference_that_means_itself_or_an_input_error(text: str) -> None:
    try:
        reference = Reference.parse(text)
    except InputError:
        return
    assert Reference.parse(str(reference)) == reference
    assert reference.tag is None or is_tag(reference.tag)
    assert parse_registry(reference.repository.registry) == reference.repository.registry


@pytest.mark.parametrize("component", ["a.b", "a:1", "localhost", "[::1]"])
def test_a_registry_is_told_by_a_dot_a_port_or_its_being_localhost(component: str) -> None:
    assert looks_like_registry(component)
    assert not looks_like_registry("library")
