"""Addresses, routes and rules of isolated networks, as values."""

from ipaddress import IPv4Address, IPv4Network

import pytest

from builder.run.address_pool import Block, Route, choose_range, parse_routes
from builder.run.errors import RunError
from builder.run.firewall import iptables_rules, nft_removal, nft_table

TABLE = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
shoal3\t0C00D50A\t00000000\t0001\t0\t0\t0\tFCFFFFFF\t0\t0\t0
"""
BLOCK = Block(IPv4Network("10.213.0.0/18"), 3)


def test_the_kernels_routes_are_read() -> None:
    default, near, own = parse_routes(TABLE)
    assert default.destination == IPv4Network("0.0.0.0/0")
    assert near == Route("eth0", IPv4Network("192.0.2.0/24"))
    assert own == Route("shoal3", IPv4Network("10.213.0.12/30"))
    assert own.is_own


def test_a_range_that_is_routed_or_has_a_name_server_in_it_is_left_alone() -> None:
    routes = parse_routes(TABLE)
    assert choose_range(routes) == IPv4Network("10.213.0.0/18")
    assert choose_range([*routes, Route("vpn", IPv4Network("10.213.0.0/16"))]) == IPv4Network(
        "10.187.64.0/18"
    )
    assert choose_range(routes, [IPv4Address("10.213.1.1")]) == IPv4Network("10.187.64.0/18")
    with pytest.raises(RunError, match="--network=host"):
        choose_range(
            [Route("a", IPv4Network(text)) for text in ("10.0.0.0/8", "172.16.0.0/12", "198.18.0.0/15")]
        )


def test_blocks_do_not_meet() -> None:
    other = Block(BLOCK.range, 4)
    assert (str(BLOCK.gateway), str(BLOCK.address), BLOCK.link) == ("10.213.0.13", "10.213.0.14", "shoal3")
    assert (str(other.gateway), str(other.address)) == ("10.213.0.17", "10.213.0.18")


def test_every_rule_that_is_added_is_removed() -> None:
    added, removed = iptables_rules(BLOCK, "add"), iptables_rules(BLOCK, "remove")
    assert added.replace("-I ", "-D ") == removed
    assert "POSTROUTING -s 10.213.0.14/32 ! -o shoal3 -j MASQUERADE" in added
    assert nft_table(BLOCK).startswith("table ip shoal3 {")
    assert nft_removal(BLOCK).endswith("delete table ip shoal3\n")
