"""Numbers as Docker writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.commands.quantities import ago_text, percent_text, seconds_text, size_text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0B"), (999, "999B"), (1000, "1kB"), (29_123_456, "29.1MB"), (999_900, "1MB"), (3 * 10**9, "3GB")],
)
def test_sizes_have_three_digits_in_thousands(count: int, text: str) -> None:
    assert size_text(count) == text


@given(st.integers(0, 2**60))
def test_a_size_is_within_half_a_per_cent_of_what_it_says_and_never_in_exponents(count: int) -> None:
    text = size_text(count)
    number = text.rstrip("kMGTPEB")
    unit = 1000 ** ["B", "kB", "MB", "GB", "TB", "PB", "EB"].index(text[len(number) :])
    assert "e" not in number
    assert abs(float(number) * unit - count) <= 0.0051 * count


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "Less than a second ago"),
        (1, "1 second ago"),
        (59, "59 seconds ago"),
        (61, "About a minute ago"),
        (3600, "About an hour ago"),
        (3 * 86400, "3 days ago"),
        (21 * 86400, "3 weeks ago"),
        (100 * 86400, "3 months ago"),
        (800 * 86400, "2 years ago"),
    ],
)
def test_ages_are_told_in_dockers_steps(seconds: float, text: str) -> None:
    assert ago_text(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.44, "0.4 s"), (12, "12 s"), (59.7, "1 min 0 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")],
)
def test_durations_are_told_in_two_units(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text


@pytest.mark.parametrize(("share", "text"), [(0.0, "0%"), (0.001, "<1%"), (0.996, "99%"), (1.0, "100%")])
def test_a_share_that_is_not_all_or_nothing_is_not_rounded_to_it(share: float, text: str) -> None:
    assert percent_text(share) == text
