"""Texts of sizes, durations, rates, URLs and patterns."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.content.errors import InputError
from agent.settings.values import (
    format_duration,
    format_rate,
    format_size,
    parse_duration,
    parse_http_url,
    parse_name,
    parse_rate,
    parse_size,
    parse_tag_pattern,
)

PARSERS = (parse_size, parse_duration, parse_rate, parse_http_url, parse_name, parse_tag_pattern)


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("0", 0),
        ("1048576", 1_048_576),
        ("17B", 17),
        ("10GB", 10_000_000_000),
        ("512MiB", 512 * 2**20),
        ("1.5GiB", 3 * 2**29),
        ("10 gb", 10_000_000_000),
        ("2TiB", 2**41),
    ],
)
def test_a_size_counts_decimal_and_binary_units(text: str, size_bytes: int) -> None:
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize(
    "text", ["", "GB", "-1GB", "10XB", "1e9", "0.3B", "10G B", "9999999PB", "\u0661GB", "0x10", "1,5GB"]
)
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_size(text)


def test_a_unit_that_docker_and_disks_read_differently_is_not_guessed() -> None:
    with pytest.raises(InputError, match="GB counts in 1000s, GiB in 1024s"):
        parse_size("10G")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("2s", 2),
        ("5m", 300),
        ("1h30m", 5400),
        ("7d", 604_800),
        ("0", 0),
        ("0s", 0),
        ("1.5s", 1.5),
    ],
)
def test_a_duration_is_in_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "5", "-5s", "5 s", "5M", "1w", "s5", "99999999d", "nan", "infs"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "bytes_per_second"),
    [
        ("50mbit", 6_250_000),
        ("1Gbit/s", 125_000_000),
        ("8bit", 1),
        ("10MB/s", 10_000_000),
        ("1MiB/s", 1_048_576),
        ("4096", 4096),
    ],
)
def test_a_rate_is_in_bytes_a_second(text: str, bytes_per_second: int) -> None:
    assert parse_rate(text) == bytes_per_second


@pytest.mark.parametrize(
    "text", ["", "0", "0mbit", "10MB", "mbit", "10mbits", "10MB/m", "-1mbit", "1bit", "²", "10Mb/s", "1 gb/s"]
)
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_rate(text)


@given(st.integers(0, 2**60))
def test_a_size_means_the_same_when_written_and_read_again(size_bytes: int) -> None:
    assert parse_size(format_size(size_bytes)) == size_bytes


@given(st.integers(1, 2**59))
def test_a_rate_means_the_same_when_written_and_read_again(bytes_per_second: int) -> None:
    assert parse_rate(format_rate(bytes_per_second)) == bytes_per_second


@given(st.integers(0, 10 * 365 * 86_400 * 1000))
def test_a_duration_means_the_same_when_written_and_read_again(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds / 1000)) == pytest.approx(milliseconds / 1000)


@pytest.mark.parametrize("parse", PARSERS)
@given(text=st.text(max_size=40) | st.from_regex(r"[0-9.]{0,20}[A-Za-z/:@?#\[\]]{0,8}", fullmatch=True))
def test_a_parser_takes_any_text_or_raises_input_error(parse: object, text: str) -> None:
    assert callable(parse)
    with suppress(InputError):
        parse(text)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://registry-1.docker.io", "https://registry-1.docker.io"),
        ("https://Registry.Example/prefix/", "https://registry.example/prefix"),
        ("http://127.0.0.1:5000/", "http://127.0.0.1:5000"),
        ("http://[::1]:5000", "http://[::1]:5000"),
    ],
)
def test_a_base_url_loses_its_trailing_slash(text: str, url: str) -> None:
    assert parse_http_url(text) == url


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("registry.example", "scheme"),
        ("ftp://registry.example", "scheme"),
        ("https:///path", "host"),
        ("https://host:", "host"),
        ("https://host:99999", "port"),
        ("https://[::1", "malformed"),
        ("https://me:secret@host", "password"),
        ("https://host/?x=1", "query"),
        ("https://host/#x", "fragment"),
        ("https://ho st", "not a URL"),
    ],
)
def test_what_is_no_base_url_is_refused(text: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        parse_http_url(text)


@pytest.mark.parametrize(
    "text", ["*", "docker.io/library/*:latest", "quay.io/*", "*:v[0-9]*", "localhost:5000/a:?"]
)
def test_a_tag_pattern_is_a_glob_over_names_and_tags(text: str) -> None:
    assert parse_tag_pattern(text) == text


@pytest.mark.parametrize(
    "text", ["", "docker.io/library/alpine", "a b:*", "a:[0-9", "ä:*", "localhost:5000/alpine"]
)
def test_a_pattern_that_could_match_no_tag_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_tag_pattern(text)
