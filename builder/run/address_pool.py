"""Addresses for isolated networks: blocks of four, out of a range that no route of this machine touches. PURE.

A block has two addresses: the machine's end of a link, which is the gateway, and the container's.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from builder.run.errors import RunError

# Away from what Docker (172.17-31, 192.168.0-240) and most home and office networks take.
_RANGES = ("10.213.0.0/18", "10.187.64.0/18", "10.151.128.0/18", "172.16.192.0/18", "198.18.192.0/18")
_BLOCK_ADDRESSES = 4
PREFIX_BITS = 30
_OWN_PREFIX = "shoal"  # of our links' names


@dataclass(frozen=True, slots=True)
class Block:
    """number: of the block in its range; a link bears it in its name."""

    range: IPv4Network
    number: int

    @property
    def link(self) -> str:
        return f"{_OWN_PREFIX}{self.number}"

    @property
    def gateway(self) -> IPv4Address:
        return self.range[self.number * _BLOCK_ADDRESSES + 1]

    @property
    def address(self) -> IPv4Address:
        return self.range[self.number * _BLOCK_ADDRESSES + 2]


@dataclass(frozen=True, slots=True)
class Route:
    interface: str
    destination: IPv4Network

    @property
    def is_own(self) -> bool:
        return self.interface.startswith(_OWN_PREFIX)


def choose_range(routes: Iterable[Route], servers: Iterable[IPv4Address] = ()) -> IPv4Network:
    """servers: not in it either, although only the default route leads there. Raises RunError: all are taken."""
    theirs = [route.destination for route in routes if not route.is_own and route.destination.prefixlen > 0]
    taken = [*theirs, *(IPv4Network(server) for server in servers)]
    for text in _RANGES:
        candidate = IPv4Network(text)
        if not any(candidate.overlaps(network) for network in taken):
            return candidate
    raise RunError(
        f"every address range for the network of RUN ({', '.join(_RANGES)}) is routed elsewhere on this machine; "
        "use --network=host"
    )


def parse_routes(table: str) -> list[Route]:
    """Of /proc/net/route, whose numbers are in the machine's own (little-endian) order."""
    routes = []
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) >= 8:
            destination, mask = (IPv4Address(bytes.fromhex(fields[place])[::-1]) for place in (1, 7))
            routes.append(Route(fields[0], IPv4Network(f"{destination}/{mask}", strict=False)))
    return routes


def block_count(range_: IPv4Network) -> int:
    return range_.num_addresses // _BLOCK_ADDRESSES
