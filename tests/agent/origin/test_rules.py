"""The pure rules: addresses, plain URLs, domains, realms, redirects."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.content.errors import SourceError
from agent.origin.address_rule import AddressKind, kind_of, may_reach
from agent.origin.plain_url import is_plain_url
from agent.origin.realm_rule import RealmTrust, judge_realm
from agent.origin.redirect_rule import MAX_REDIRECTS, next_hop
from agent.origin.registrable_domain import registrable_domain, same_registrable_domain

PUBLIC, PRIVATE, LOOPBACK, LINK_LOCAL = AddressKind


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("93.184.216.34", PUBLIC),
        ("2606:2800:220:1::1", PUBLIC),
        ("10.1.2.3", PRIVATE),
        ("172.31.0.1", PRIVATE),
        ("192.168.1.1", PRIVATE),
        ("100.64.0.1", PRIVATE),
        ("fd00::1", PRIVATE),
        ("224.0.0.1", PRIVATE),
        ("255.255.255.255", PRIVATE),
        ("127.0.0.1", LOOPBACK),
        ("127.8.8.8", LOOPBACK),
        ("0.0.0.0", LOOPBACK),
        ("::", LOOPBACK),
        ("::1", LOOPBACK),
        ("169.254.169.254", LINK_LOCAL),
        ("fe80::1", LINK_LOCAL),
        ("fe80::1%eth0", LINK_LOCAL),
        ("::ffff:127.0.0.1", LOOPBACK),
        ("::ffff:169.254.169.254", LINK_LOCAL),
        ("::ffff:93.184.216.34", PUBLIC),
        ("64:ff9b::a9fe:a9fe", LINK_LOCAL),
        ("64:ff9b::7f00:1", LOOPBACK),
        ("2002:7f00:1::", LOOPBACK),
        ("[::1]", LOOPBACK),
    ],
)
def test_each_address_has_its_kind(address: str, kind: AddressKind) -> None:
    assert kind_of(address) is kind


def test_a_registry_may_send_to_public_addresses_and_to_its_own_kind() -> None:
    allowed = {
        (registry, target)
        for registry in AddressKind
        for target in AddressKind
        if may_reach(target, registry)
    }
    own = {(kind, kind) for kind in AddressKind}
    assert allowed == own | {(kind, PUBLIC) for kind in AddressKind} | {(LOOPBACK, PRIVATE)}
    assert [kind for kind in AddressKind if may_reach(kind, None)] == [PUBLIC]


@given(st.ip_addresses())
def test_whatever_is_not_global_is_not_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    if kind_of(str(address)) is PUBLIC and isinstance(address, ipaddress.IPv4Address):
        assert address.is_global


@pytest.mark.parametrize(
    "url",
    [
        "https://registry.test/x?y=z%2F&a=b+c",
        "http://registry.test:5000/token",
        "https://10.0.0.1/x",
        "https://[2001:db8::1]:443/x",
        "https://a_b.test/",
        "https://xn--bcher-kva.test/",
    ],
)
def test_ordinary_urls_are_plain(url: str) -> None:
    assert is_plain_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/relative",
        "ftp://registry.test/",
        "file:///etc/passwd",
        "https://user:password@registry.test/",
        "https://registry.test@evil.test/",
        "https://registry.test\\@evil.test/",
        "https://registry.test /",
        "https://registry.test/a b",
        "https://registry.test/\r\nx: y",
        "https://registry.test:0/",
        "https://registry.test:99999/",
        "https://registry.test:x/",
        "https://bücher.test/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://127.1/",
        "https://010.0.0.1/",
        "https://x.0.5/",
        "https://[::1/",
        "https://[v1.x]/",
        "https://registry.test./",
        "https://registry.test/" + "x" * 9000,
    ],
)
def test_urls_that_two_parsers_may_read_differently_are_not_plain(url: str) -> None:
    assert not is_plain_url(url)


@given(st.text(max_size=100))
def test_no_text_makes_the_url_check_fail(text: str) -> None:
    is_plain_url(text)
    is_plain_url("https://" + text)


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("auth.docker.io", "docker.io"),
        ("registry-1.docker.io", "docker.io"),
        ("docker.io", "docker.io"),
        ("registry.company.co.uk", "company.co.uk"),
        ("company.co.uk", "company.co.uk"),
        ("a.b.mine.azurecr.io", "mine.azurecr.io"),
        ("123.dkr.ecr.eu-west-1.amazonaws.com", "eu-west-1.amazonaws.com"),
        ("registry", "registry"),
    ],
)
def test_the_registrable_domain_is_found(host: str, domain: str) -> None:
    assert registrable_domain(host) == domain


def test_strangers_on_a_shared_domain_are_strangers() -> None:
    assert same_registrable_domain("registry.gitlab.com", "gitlab.com")
    assert not same_registrable_domain("mine.azurecr.io", "evil.azurecr.io")
    assert not same_registrable_domain("company.co.uk", "evil.co.uk")
    assert not same_registrable_domain("registry", "registry")
    assert not same_registrable_domain("10.0.0.5", "11.1.0.5")


@pytest.mark.parametrize(
    ("registry", "realm", "trust"),
    [
        ("https://registry-1.docker.io", "https://auth.docker.io/token", RealmTrust.WITH_CREDENTIALS),
        ("https://registry.test", "https://registry.test:8443/token", RealmTrust.WITH_CREDENTIALS),
        ("https://10.0.0.5:5000", "https://10.0.0.5:5001/token", RealmTrust.WITH_CREDENTIALS),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5001/token", RealmTrust.WITH_CREDENTIALS),
        ("http://registry.company.test", "http://auth.company.test/", RealmTrust.WITH_CREDENTIALS),
        ("https://lscr.io", "https://ghcr.io/token", RealmTrust.ANONYMOUS),
        ("https://mine.azurecr.io", "https://evil.azurecr.io/token", RealmTrust.ANONYMOUS),
        ("https://10.0.0.5:5000", "https://auth.test/token", RealmTrust.ANONYMOUS),
        ("https://registry.test", "http://registry.test/token", None),
        ("https://registry.test", "https://169.254.169.254/token", None),
        ("https://registry.test", "https://[::1]/token", None),
        ("https://10.0.0.5", "https://10.0.0.6/token", None),
        ("https://registry.test", "https://registry.test@evil.test/token", None),
        ("https://registry.test", "", None),
    ],
)
def test_a_realm_is_trusted_as_far_as_it_belongs_to_the_registry(
    registry: str, realm: str, trust: RealmTrust | None
) -> None:
    if trust is None:
        with pytest.raises(SourceError):
            judge_realm(registry, realm)
    else:
        assert judge_realm(registry, realm) is trust


@pytest.mark.parametrize(
    ("location", "url", "same_origin"),
    [
        ("https://cdn.test/x?sig=a%2Fb", "https://cdn.test/x?sig=a%2Fb", False),
        ("/other", "https://registry.test/other", True),
        ("https://registry.test:443/other", "https://registry.test:443/other", True),
        ("https://registry.test:8443/other", "https://registry.test:8443/other", False),
        ("//cdn.test/x", "https://cdn.test/x", False),
        ("https://93.184.216.34/x", "https://93.184.216.34/x", False),
        ("/other#part", "https://registry.test/other", True),
    ],
)
def test_a_redirect_keeps_its_origin_or_not(location: str, url: str, same_origin: bool) -> None:
    hop = next_hop("https://registry.test/v2/x/blobs/y", location, 0, PUBLIC)
    assert (hop.url, hop.same_origin) == (url, same_origin)


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("http://registry.test/x", "from https to http"),
        ("https://127.0.0.1/x?Signature=s", "loopback address"),
        ("https://169.254.169.254/latest/meta-data", "link-local address"),
        ("https://[::ffff:10.0.0.1]/x", "private address"),
        ("https://2130706433/x", "unusable URL"),
        ("https://user:pass@cdn.test/x", "unusable URL"),
        ("file:///etc/passwd", "unusable URL"),
        ("https://[broken", "unusable URL"),
    ],
)
def test_a_redirect_inward_or_downward_is_not_followed(location: str, reason: str) -> None:
    for kind in (PUBLIC, None):
        with pytest.raises(SourceError, match=reason) as caught:
            next_hop("https://registry.test/v2/x/blobs/y", location, 0, kind)
        assert "Signature" not in str(caught.value)


def test_a_redirect_inward_is_followed_where_the_registry_is_there_or_it_is_configured() -> None:
    assert next_hop("http://10.0.0.5/x", "http://10.0.0.6/x", 0, PRIVATE).url
    assert next_hop("https://registry.test/x", "https://10.0.0.6/x", 0, PUBLIC, allow_private=True).url
    assert next_hop("https://10.0.0.5/x", "https://10.0.0.5:9000/x", 0, None).url
    with pytest.raises(SourceError):
        next_hop("http://10.0.0.5/x", "http://169.254.169.254/x", 0, PRIVATE)


def test_redirects_come_to_an_end() -> None:
    assert next_hop("https://a.test/", "/x", MAX_REDIRECTS - 1, PUBLIC).url
    with pytest.raises(SourceError, match="more than 10 times"):
        next_hop("https://a.test/", "/x", MAX_REDIRECTS, PUBLIC)


@given(st.text(max_size=100))
def test_no_location_makes_the_rule_fail_otherwise(location: str) -> None:
    try:
        hop = next_hop("https://registry.test/x", location, 0, PUBLIC)
    except SourceError:
        return
    assert hop.url.startswith("https://")
