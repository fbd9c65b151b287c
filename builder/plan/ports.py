"""EXPOSE's ports: `[IP:][HOST:]PORT[-PORT][/PROTOCOL]` to `80/tcp`, as BuildKit's convert_expose.go does. PURE."""

import re
from ipaddress import ip_address

from agent.content.errors import InputError

_PROTOCOLS = ("tcp", "udp", "sctp")
_RANGE = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
_MAX_PORT = 65535


def exposed_ports(text: str) -> list[str]:
    """Raises InputError. Addresses and host ports are checked and dropped: an image cannot say them."""
    address, host_text, container_text = _parts(text)
    port_text, _, protocol = container_text.partition("/")
    protocol = protocol.lower() or "tcp"
    if protocol not in _PROTOCOLS:
        raise InputError(f"EXPOSE {text}: unknown protocol {protocol!r}: tcp, udp or sctp")
    if address:
        _check_address(address, text)
    ports = _range(port_text, text)
    if host_text:
        host_ports = _range(host_text, text)
        if len(host_ports) != len(ports) != 1:
            raise InputError(f"EXPOSE {text}: the ranges {port_text} and {host_text} have different lengths")
    return [f"{port}/{protocol}" for port in ports]


def _parts(text: str) -> tuple[str, str, str]:
    parts = text.split(":")
    if len(parts) == 1:
        return "", "", parts[0]
    return ":".join(parts[:-2]), parts[-2], parts[-1]


def _check_address(address: str, text: str) -> None:
    try:
        ip_address(address.removeprefix("[").removesuffix("]"))
    except ValueError:
        raise InputError(f"EXPOSE {text}: {address!r} is no IP address") from None


def _range(ports: str, text: str) -> range:
    match = _RANGE.fullmatch(ports)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
    if not 0 <= first <= last <= _MAX_PORT:
        raise InputError(
            f"EXPOSE {text}: expected a port such as 80, 80/udp or 8000-8010, at most {_MAX_PORT}"
        )
    return range(first, last + 1)
