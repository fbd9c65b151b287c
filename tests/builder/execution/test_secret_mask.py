"""A secret's value is in no output of the step that has it, however the output is cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.execution.secret_mask import SecretMask

KEY = b"-----BEGIN KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0B\n-----END KEY-----\n"


def masked(secrets: list[bytes], *pieces: bytes) -> bytes:
    mask = SecretMask(secrets)
    shown = b"".join(mask.feed("stdout", piece) for piece in pieces)
    return shown + b"".join(rest for _, rest in mask.end())


@pytest.mark.parametrize(
    ("secrets", "printed", "shown"),
    [
        ([b"hunter2\n"], b"the password is hunter2.\n", b"the password is ***.\n"),
        ([KEY], b"| MIIEvQIBADANBg\r\n| kqhkiG9w0B", b"| ***\r\n| ***"),
        ([b"hunter2", b"hunter22"], b"hunter22 hunter2", b"*** ***"),
        ([b"yes", b"", b"\n"], b"yes and no\n", b"yes and no\n"),
        ([], b"as it is", b"as it is"),
        ([b"a.*b"], b"axxb a.*b", b"axxb ***"),
    ],
)
def test_values_are_hidden_and_nothing_else(secrets: list[bytes], printed: bytes, shown: bytes) -> None:
    assert masked(secrets, printed) == shown


@given(st.lists(st.sampled_from([b"hun", b"ter2", b" ", b"\n", b"\r", b"x" * 40_000]), max_size=12))
def test_it_does_not_matter_how_output_is_cut(pieces: list[bytes]) -> None:
    assert b"hunter2" not in masked([b"hunter2"], *pieces)
    whole = b"".join(pieces)
    assert masked([b"hunter2"], *pieces) == whole.replace(b"hunter2", b"***")


def test_streams_do_not_mix_and_a_line_is_shown_as_soon_as_it_is_whole() -> None:
    mask = SecretMask([b"hunter2"])
    assert mask.feed("stdout", b"one\nhunt") == b"one\n"
    assert mask.feed("stderr", b"er2\n") == b"er2\n"
    assert mask.feed("stdout", b"er2\n") == b"***\n"
    assert mask.end() == []
