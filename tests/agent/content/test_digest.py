"""Digests: well formed or not at all."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.content.digest import Digest
from agent.content.errors import InputError

_HEX = "0123456789abcdef"


@given(st.sampled_from([("sha256", 64), ("sha512", 128)]), st.data())
def test_a_well_formed_digest_is_read_and_written_alike(kind: tuple[str, int], data: st.DataObject) -> None:
    algorithm, length = kind
    text = f"{algorithm}:{data.draw(st.text(_HEX, min_size=length, max_size=length))}"
    assert str(Digest.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "sha256",
        "sha256:",
        "sha256:" + "a" * 63,
        "sha256:" + "a" * 65,
        "sha256:" + "A" * 64,
        "sha256:" + "g" * 64,
        "sha256:" + "a" * 63 + "\n",
        "sha256:" + "a" * 64 + "\n",
        "sha256:" + "\N{ARABIC-INDIC DIGIT ONE}" * 64,
        " sha256:" + "a" * 64,
        "SHA256:" + "a" * 64,
        "sha512:" + "a" * 64,
        "md5:" + "a" * 32,
        "sha256:../../../../etc/passwd",
        "sha256+b64:" + "a" * 64,
    ],
)
def test_anything_else_is_refused_and_the_error_says_what_would_be_right(text: str) -> None:
    with pytest.raises(InputError, match="expected sha256:<64 lowercase hex digits>"):
        Digest.parse(text)


@given(st.text(max_size=300))
def test_any_text_is_a_digest_or_an_input_error_of_reasonable_length(text: str) -> None:
    try:
        assert str(Digest.parse(text)) == text
    except InputError as error:
        assert len(str(error)) < 2000  # noqa: PT017


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_content_is_checked_against_its_digest(algorithm: str) -> None:
    digest = Digest.of(b"content", algorithm)
    assert digest.hex == hashlib.new(algorithm, b"content").hexdigest()
    hasher = digest.new_hasher()
    hasher.update(b"con")
    assert not digest.matches(hasher)
    hasher.update(b"tent")
    assert digest.matches(hasher)
    assert digest.short == digest.hex[:12]
