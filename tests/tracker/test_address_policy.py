"""Which peer addresses are believed."""

from ipaddress import ip_network

import pytest

from agent.content.errors import InputError
from tracker.directory.address_policy import AddressPolicy

POLICY = AddressPolicy()


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("10.0.0.5:7070", "10.0.0.5"),
        ("[fd00::5]:7070", "fd00::5"),
        ("10.0.0.5:7070", "::ffff:10.0.0.5"),
        ("127.0.0.1:7070", "127.0.0.1"),
        ("127.0.0.2:7070", "127.0.0.1"),
        ("192.168.1.5:7070", "127.0.0.1"),
        ("127.0.0.1:7070", ""),
        ("[::1]:7070", "127.0.0.1"),
    ],
)
def test_an_address_is_believed_where_the_call_comes_from_it_or_from_this_machine(
    address: str, source: str
) -> None:
    POLICY.check(address, source)


@pytest.mark.parametrize(
    ("address", "source", "reason"),
    [
        ("127.0.0.1:7070", "10.0.0.5", "not where the call comes from"),
        ("10.0.0.6:7070", "10.0.0.5", "not where the call comes from"),
        ("0.0.0.0:7070", "10.0.0.5", "wildcard"),
        ("0.0.0.0:7070", "127.0.0.1", "wildcard"),
        ("[::]:7070", "10.0.0.5", "wildcard"),
        ("169.254.169.254:80", "169.254.169.254", "link-local"),
        ("169.254.169.254:80", "127.0.0.1", "link-local"),
        ("[fe80::1]:80", "fe80::1", "link-local"),
        ("[::ffff:169.254.169.254]:80", "10.0.0.5", "link-local"),
        ("224.0.0.1:7070", "10.0.0.5", "multicast"),
        ("255.255.255.255:7070", "10.0.0.5", "reserved"),
        ("10.0.0.5:0", "10.0.0.5", "port 0"),
        ("10.0.0.5", "10.0.0.5", "HOST:PORT"),
        ("", "10.0.0.5", "HOST:PORT"),
        ("fish.example:7070", "10.0.0.5", "an IP address is needed"),
    ],
)
def test_an_address_is_refused_with_its_reason(address: str, source: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        POLICY.check(address, source)


def test_an_allowed_network_is_believed_from_anywhere_but_never_loopback() -> None:
    policy = AddressPolicy((ip_network("172.16.0.0/12"), ip_network("127.0.0.0/8")))
    policy.check("172.16.3.4:7070", "10.0.0.5")
    with pytest.raises(InputError):
        policy.check("172.32.0.1:7070", "10.0.0.5")
    with pytest.raises(InputError):
        policy.check("127.0.0.1:7070", "10.0.0.5")
