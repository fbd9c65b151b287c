"""What is tried again, how long Retry-After says, what ranges mean, what a rate limit header holds."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.content.errors import NotFound, SourceError, Throttled, Unauthorized
from agent.origin.content_range import ContentRange, range_header, unsatisfied_total
from agent.origin.rate_limit import RateLimit
from agent.origin.retry import RetryPolicy, error_of, is_transient_status, parse_retry_after

NOW = 1_792_000_000.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        (" 7 ", 7),
        ("999999999", 86400),
        ("Wed, 14 Oct 2026 17:47:40 GMT", 60),
        ("Wed, 14 Oct 2026 10:00:00 GMT", 0),
        ("Wednesday, 14-Oct-26 17:47:40 GMT", 60),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("²", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str | None, seconds: float | None) -> None:
    assert parse_retry_after(text, NOW) == seconds


@given(st.text(max_size=60))
def test_no_retry_after_makes_the_parser_fail(text: str) -> None:
    seconds = parse_retry_after(text, NOW)
    assert seconds is None or 0 <= seconds <= 86400


def test_chance_is_tried_again_and_patience_is_not() -> None:
    assert [status for status in (401, 404, 408, 429, 500, 501, 502, 503, 504) if is_transient_status(status)] == [
        408, 500, 502, 504,
    ]  # fmt: skip


def test_each_status_is_the_error_of_who_must_act() -> None:
    kinds = {
        404: NotFound,
        410: NotFound,
        401: Unauthorized,
        403: Unauthorized,
        429: Throttled,
        503: Throttled,
    }
    for status, kind in {**kinds, 500: SourceError, 418: SourceError}.items():
        error = error_of(status, "host.test", "host.test/app:1", retry_after_seconds=3)
        assert type(error) is kind
        assert "host.test/app:1" in str(error)


def test_waits_grow_to_a_limit_and_fit_into_seconds() -> None:
    policy, rng = RetryPolicy(), random.Random(7)
    waits = [policy.wait_seconds(failures, rng) for failures in range(1, policy.attempts)]
    assert sum(waits) <= 2.0
    assert all(0.1 * 2**n <= wait <= 0.2 * 2**n for n, wait in enumerate(waits))
    assert policy.wait_seconds(1000, rng) <= policy.max_wait_seconds
    assert [policy.may_retry(failures) for failures in (1, 3, 4)] == [True, True, False]
    assert not policy.may_retry(1, elapsed_seconds=5)


def test_content_ranges_are_read_strictly() -> None:
    assert ContentRange.parse("bytes 0-99/200") == ContentRange(0, 100, 200)
    assert ContentRange.parse("bytes 5-5/*") == ContentRange(5, 6, None)
    for text in (
        "bytes 5-4/10",
        "bytes 0-10/10",
        "0-9/10",
        "bytes */10",
        "bytes 0-9/10, 20-29/40",
        "bytes -1-9/10",
        "",
    ):
        assert ContentRange.parse(text) is None
    assert unsatisfied_total("bytes */77") == 77
    assert unsatisfied_total("bytes 0-1/77") is None


@given(st.integers(0, 10**12), st.integers(1, 10**9))
def test_a_range_asked_for_is_the_range_read_back(start: int, length: int) -> None:
    header = range_header(start, start + length)
    assert header is not None
    parsed = ContentRange.parse(header.replace("=", " ") + "/*")
    assert parsed == ContentRange(start, start + length, None)


def test_the_whole_content_needs_no_range() -> None:
    assert range_header(0, None) is None
    assert range_header(1, None) == "bytes=1-"


def test_rate_limits_are_read_where_they_are_said() -> None:
    assert RateLimit.parse("docker.io", "100;w=21600", "76;w=21600") == RateLimit("docker.io", 76, 100, 21600)
    assert RateLimit.parse("docker.io", None, "76") == RateLimit("docker.io", 76)
    assert RateLimit.parse("docker.io", "100;w=21600", None) is None
    assert RateLimit.parse("docker.io", "x", "y") is None
