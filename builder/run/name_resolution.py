"""What a container is told about names: its /etc/resolv.conf and /etc/hosts.

A name server on the machine's loopback (systemd-resolved, dnsmasq) cannot be reached from another network namespace,
and one with an IPv6 address not from ours. As in Docker, the servers that systemd-resolved itself asks stand in for it,
then public ones.
"""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, ip_address
from pathlib import Path

HOST_GATEWAY = "host-gateway"
"""The address of an --add-host that stands for this machine, as in Docker."""
_RESOLV_CONF = "/etc/resolv.conf"
_RESOLVED_CONF = "/run/systemd/resolve/resolv.conf"
_PUBLIC_SERVERS = ("8.8.8.8", "8.8.4.4")


def read_resolver(*, isolated: bool) -> str:
    """The container's /etc/resolv.conf. isolated: its network is not the machine's."""
    texts = [text for path in (_RESOLV_CONF, _RESOLVED_CONF) if (text := _text(path)) is not None]
    return isolated_resolver(texts) if isolated else "".join(texts[:1])


def isolated_resolver(texts: Sequence[str]) -> str:
    """texts: of resolver files, the preferred first; the first that names a server within reach counts."""
    for text in texts:
        if ipv4_servers(kept := _without_unreachable(text)):
            return kept
    public = "".join(f"nameserver {server}\n" for server in _PUBLIC_SERVERS)
    return _without_unreachable(texts[0] if texts else "") + public


def ipv4_servers(text: str) -> list[IPv4Address]:
    addresses = (_server(line) for line in text.splitlines())
    return [address for address in addresses if isinstance(address, IPv4Address)]


def hosts_file(host_name: str, entries: Iterable[tuple[str, str]], gateway: str) -> str:
    """entries: of --add-host: name, address. gateway: what HOST_GATEWAY stands for."""
    own = f"127.0.0.1\tlocalhost {host_name}\n::1\tlocalhost ip6-localhost ip6-loopback\n"
    told = ((name, gateway if address == HOST_GATEWAY else address) for name, address in entries)
    return own + "".join(f"{address}\t{name}\n" for name, address in told)


def _without_unreachable(text: str) -> str:
    return "".join(f"{line}\n" for line in text.splitlines() if not _is_unreachable(line))


def _is_unreachable(line: str) -> bool:
    server = _server(line)
    return line.split()[:1] == ["nameserver"] and (not isinstance(server, IPv4Address) or server.is_loopback)


def _server(line: str) -> object:
    words = line.split()
    try:
        return ip_address(words[1]) if words[:1] == ["nameserver"] and len(words) > 1 else None
    except ValueError:
        return None


def _text(path: str) -> str | None:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return None
