"""Which addresses of other nodes this node dials. Policy.

The tracker has checked the addresses that it hands out; those that neighbours tell of each other have been checked by
nobody, and a liar would have us knock at doors of its choice: never at a wildcard, multicast, link-local or reserved
address, and at loopback only where this node itself is on loopback. Names are never looked up.
"""

from ipaddress import IPv4Address, IPv6Address, ip_address

from agent.content.errors import InputError, PeerError
from agent.settings.address import TcpAddress, parse_tcp_address


def dialable(address: str) -> TcpAddress:
    """Raises PeerError for what is no IP address and port."""
    try:
        parsed = parse_tcp_address(address)
        ip_address(parsed.host)
    except InputError as error:
        raise PeerError(f"cannot dial {address[:100]!r}: {error}") from None
    except ValueError:
        raise PeerError(f"cannot dial {address[:100]!r}: it is a name, not an IP address") from None
    if parsed.port == 0:
        raise PeerError(f"cannot dial {address}: port 0 is nobody's port")
    return parsed


def is_credible(address: str, own: TcpAddress) -> bool:
    """Is this worth a try, told by a neighbour? `own`: where the others reach this node."""
    try:
        parsed = dialable(address)
    except PeerError:
        return False
    ip = _plain(ip_address(parsed.host))
    if ip.is_loopback:
        return own.is_loopback
    return not (ip.is_unspecified or ip.is_multicast or ip.is_link_local or ip.is_reserved)


def _plain(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    mapped = ip.ipv4_mapped if isinstance(ip, IPv6Address) else None
    return mapped or ip
