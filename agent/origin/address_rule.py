"""Which addresses a registry may send this node to. PURE.

A hostile registry's redirect must not turn the agent into a way into the network that it stands in (cloud metadata at
169.254.169.254, services on loopback). Public addresses are free; others are only reached where the registry itself is
at such a one. Names are resolved before this is asked, see network.py, so that names which point inward fail too.
"""

import enum
import ipaddress

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class AddressKind(enum.Enum):
    PUBLIC = "public"
    PRIVATE = "private"
    LOOPBACK = "loopback"
    LINK_LOCAL = "link-local"


def parse_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that `text` writes; None where it is a name. Brackets and IPv4 inside IPv6 are taken off."""
    try:
        address = ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return address.ipv4_mapped
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if address.sixtofour:
            return address.sixtofour
    return address


def kind_of(text: str) -> AddressKind:
    """The kind of an address; whatever is not plainly global counts as private. Raises ValueError for a name."""
    address = parse_address(text)
    if address is None:
        raise ValueError(f"not an address: {text[:60]!r}")
    if address.is_link_local:
        return AddressKind.LINK_LOCAL
    if address.is_loopback or address.is_unspecified:
        return AddressKind.LOOPBACK
    if address.is_global and not address.is_multicast:
        return AddressKind.PUBLIC
    return AddressKind.PRIVATE


def may_reach(target: AddressKind, registry: AddressKind | None) -> bool:
    """Whether a registry at an address of kind `registry` (None: not known) may send us to one of kind `target`."""
    if target is AddressKind.PUBLIC or target is registry:
        return True
    return target is AddressKind.PRIVATE and registry is AddressKind.LOOPBACK
