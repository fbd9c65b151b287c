"""What EXPOSE takes: `80`, `80/udp`, `8000-8010`, and mappings, of which only the container's side counts. PURE."""

from collections.abc import Iterator
from ipaddress import ip_address

from agent.content.errors import InputError
from builder.dockerfile.instructions import Place, Warning

_PROTOCOLS = ("tcp", "udp", "sctp")
_MAX_PORT = 65_535


def exposed_ports(word: str) -> list[str]:
    """`<port>/<protocol>` of each port that `word`, expanded, names. Raises InputError."""
    address, host, container = _sides(word)
    ports, _, protocol = container.partition("/")
    if (protocol or "tcp").lower() not in _PROTOCOLS:
        raise InputError(f"EXPOSE {word}: {protocol!r} is no protocol: {', '.join(_PROTOCOLS)} are")
    _check_address(word, address)
    first, last = _port_range(word, ports)
    if host:
        host_first, host_last = _port_range(word, host)
        if first != last and host_last - host_first != last - first:
            raise InputError(f"EXPOSE {word}: the ranges {host} and {ports} have not the same length")
    return [f"{port}/{(protocol or 'tcp').lower()}" for port in range(first, last + 1)]


def port_warnings(word: str, place: Place) -> Iterator[Warning]:
    """Of one word, expanded where its variables are known."""
    address, host, container = _sides(word)
    protocol = container.partition("/")[2]
    if protocol != protocol.lower() and "$" not in protocol:
        message = f"Defined protocol '{word}' in EXPOSE instruction should be lowercase"
        yield Warning("ExposeProtoCasing", message, place)
    if (address or host) and "$" not in word:
        message = f"EXPOSE instruction should not define an IP address or host-port mapping, found '{word}'"
        yield Warning("ExposeInvalidFormat", message, place)


def _sides(word: str) -> tuple[str, str, str]:
    """Address, host port, container port: the last two colons separate."""
    *before, container = word.rsplit(":", 2)
    return (["", "", *before][-2], ["", *before][-1], container)


def _check_address(word: str, address: str) -> None:
    try:
        if address:
            ip_address(address[1:-1] if address.startswith("[") and address.endswith("]") else address)
    except ValueError:
        raise InputError(f"EXPOSE {word}: {address!r} is no IP address") from None


def _port_range(word: str, text: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    ports = [first, last] if dash else [first, first]
    if not all(
        port.isascii() and port.isdecimal() and len(port) <= 5 and int(port) <= _MAX_PORT for port in ports
    ):
        raise InputError(
            f"EXPOSE {word}: {text!r} is no port: a number up to {_MAX_PORT}, or a range such as 80-90"
        )
    if int(ports[0]) > int(ports[1]):
        raise InputError(f"EXPOSE {word}: the range {text} ends before it begins")
    return int(ports[0]), int(ports[1])
