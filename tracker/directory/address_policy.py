"""`AddressPolicy`: which addresses a node may announce as its own. Policy.

Others will connect there, so an address is believed only where the node calls from it, or where the operator allows its
network (nodes behind a translator, or with a network of their own for the swarm). A node on the tracker's own machine
calls from loopback whatever its address is, and is believed. Nobody is sent to a wildcard, multicast, link-local or
reserved address, nor to loopback by somebody far away.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from agent.content.errors import InputError
from agent.settings.address import parse_tcp_address

IpAddress = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    allowed_networks: tuple[IPv4Network | IPv6Network, ...] = ()

    def check(self, address: str, source_host: str) -> None:
        """Raises InputError. `source_host`: the IP address the call came from, "" for a Unix socket."""
        try:
            parsed = parse_tcp_address(address)
            ip = _plain(ip_address(parsed.host))
        except InputError as error:
            raise InputError(f"peer address {address[:100]!r} is not HOST:PORT: {error}") from None
        except ValueError:
            raise InputError(f"peer address {address[:100]!r}: an IP address is needed, not a name") from None
        if parsed.port == 0:
            raise InputError(f"peer address {address}: port 0 is nobody's port")
        if reason := _never(ip):
            raise InputError(f"peer address {address}: {reason}; announce one that the other nodes can reach")
        source = _plain(ip_address(source_host)) if source_host else None
        if source is None or source.is_loopback or ip == source:
            return
        if not ip.is_loopback and any(ip in network for network in self.allowed_networks):
            return
        raise InputError(
            f"peer address {address} is not where the call comes from ({source_host}), nor in an allowed network"
        )


def _never(ip: IpAddress) -> str:
    if ip.is_unspecified:
        return "a wildcard is an address to listen on, not to connect to"
    if ip.is_link_local:
        return "link-local addresses are not accepted"
    if ip.is_multicast:
        return "multicast addresses are not accepted"
    if ip.is_reserved and not ip.is_loopback:
        return "reserved addresses are not accepted"
    return ""


def _plain(ip: IpAddress) -> IpAddress:
    mapped = ip.ipv4_mapped if isinstance(ip, IPv6Address) else None
    return mapped or ip
