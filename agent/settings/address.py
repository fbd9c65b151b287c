"""Addresses to listen on and to connect to: `HOST:PORT`, `[IPv6]:PORT`, `unix:/PATH`. PURE.

What exists is well formed; whether a name resolves or a port is free is found out by whoever opens it.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from agent.content.errors import InputError

EXPECTED_TCP = "HOST:PORT or [IPv6]:PORT"
EXPECTED = f"{EXPECTED_TCP}, or unix:/PATH"

# sun_path has 108 bytes on Linux, the closing zero included: see unix(7).
MAX_UNIX_PATH_BYTES = 107

_LABEL = r"[a-zA-Z0-9_](?:[a-zA-Z0-9_-]{0,61}[a-zA-Z0-9_])?"
_HOST_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?", re.ASCII)
_PORT = re.compile(r"[0-9]{1,5}", re.ASCII)
_LOOKS_NUMERIC = re.compile(r"[0-9.]+", re.ASCII)
_MAX_HOST_LENGTH = 253


@dataclass(frozen=True, slots=True, order=True)
class TcpAddress:
    """`host` is an IP address without brackets or a host name. Port 0 to listen on means any free one."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        if self.host.rstrip(".").lower() == "localhost":
            return True
        ip = _ip_or_none(self.host)
        if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
            return ip.ipv4_mapped.is_loopback
        return ip is not None and ip.is_loopback

    @property
    def is_wildcard(self) -> bool:
        """Every interface: fit to listen on, not to be told to others."""
        ip = _ip_or_none(self.host)
        if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
            return ip.ipv4_mapped.is_unspecified
        return ip is not None and ip.is_unspecified

    @property
    def is_local(self) -> bool:
        """Only this machine reaches it."""
        return self.is_loopback

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True, order=True)
class UnixAddress:
    """A stream socket in the file system; `path` is absolute."""

    path: Path

    @property
    def is_local(self) -> bool:
        return True

    def __str__(self) -> str:
        return f"unix:{self.path}"


Address = TcpAddress | UnixAddress


def parse_address(text: str) -> Address:
    """Raises InputError."""
    if text.startswith("unix:"):
        return _parse_unix(text)
    return parse_tcp_address(text)


def parse_tcp_address(text: str) -> TcpAddress:
    """Raises InputError."""
    host, colon, port_text = text.rpartition(":")
    if not colon or not port_text:
        raise InputError("the port is missing")
    if not _PORT.fullmatch(port_text) or int(port_text) > 65535:
        raise InputError("the port is not a number from 0 to 65535")
    if not host:
        raise InputError(f"the host is missing; for every interface write 0.0.0.0:{port_text}")
    return TcpAddress(_parse_host(host), int(port_text))


def _parse_host(text: str) -> str:
    if text.startswith("[") and text.endswith("]"):
        try:
            return str(IPv6Address(text[1:-1]))
        except ValueError:
            raise InputError("what stands in brackets is not an IPv6 address") from None
    if ":" in text:
        raise InputError("an IPv6 address goes in brackets, as in [::1]:5050")
    if _LOOKS_NUMERIC.fullmatch(text):
        try:
            return str(IPv4Address(text))
        except ValueError:
            raise InputError("the host is not a valid IPv4 address") from None
    if len(text) > _MAX_HOST_LENGTH or not _HOST_NAME.fullmatch(text):
        raise InputError("the host is neither an IP address nor a host name")
    return text


def _parse_unix(text: str) -> UnixAddress:
    path = text.removeprefix("unix:")
    if not path.startswith("/") or "\0" in path:
        raise InputError("a Unix socket needs an absolute path, as in unix:/run/shoal.sock")
    if len(path.encode("utf-8", "surrogateescape")) > MAX_UNIX_PATH_BYTES:
        raise InputError(f"the path of a Unix socket has at most {MAX_UNIX_PATH_BYTES} bytes")
    return UnixAddress(Path(path))


def _ip_or_none(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
