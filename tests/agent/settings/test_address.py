"""Addresses to listen on and to connect to."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.content.errors import InputError
from agent.settings.address import TcpAddress, UnixAddress, parse_address, parse_tcp_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:5050", TcpAddress("127.0.0.1", 5050)),
        ("[::1]:0", TcpAddress("::1", 0)),
        ("[FE80::1]:5050", TcpAddress("fe80::1", 5050)),
        ("node-1.example:65535", TcpAddress("node-1.example", 65535)),
        ("unix:/run/shoal.sock", UnixAddress(Path("/run/shoal.sock"))),
    ],
)
def test_an_address_is_host_and_port_or_a_path(text: str, address: TcpAddress | UnixAddress) -> None:
    assert parse_address(text) == address
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("5050", "port is missing"),
        ("127.0.0.1", "port is missing"),
        ("127.0.0.1:", "port is missing"),
        (":5050", r"0\.0\.0\.0:5050"),
        ("127.0.0.1:65536", "65535"),
        ("127.0.0.1:http", "65535"),
        ("127.0.0.1:-1", "65535"),
        ("::1:5050", "brackets"),
        ("[127.0.0.1]:5050", "IPv6"),
        ("256.0.0.1:5050", "IPv4"),
        ("127.1:5050", "IPv4"),
        ("ho st:1", "host name"),
        ("http://host:1", "brackets"),
        ("unix:run/x", "absolute"),
        ("unix:/" + "x" * 107, "107 bytes"),
    ],
)
def test_a_malformed_address_is_refused_with_the_reason(text: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        parse_address(text)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.9.9.9", "::1", "localhost", "LOCALHOST.", "::ffff:127.0.0.1"]
)
def test_loopback_is_known_in_every_spelling(host: str) -> None:
    assert TcpAddress(host, 1).is_local


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "10.0.0.1", "fe80::1", "example", "::ffff:10.0.0.1", "localhost.evil"]
)
def test_everything_else_counts_as_reachable_by_others(host: str) -> None:
    assert not TcpAddress(host, 1).is_local


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "::ffff:0.0.0.0"])
def test_a_wildcard_is_known(host: str) -> None:
    assert TcpAddress(host, 1).is_wildcard


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_an_input_error(text: str) -> None:
    for parse in (parse_address, parse_tcp_address):
        try:
            assert parse(str(parse(text))) == parse(text)
        except InputError:
            pass
