"""What a container is told about names: its /etc/resolv.conf and /etc/hosts. PURE.

A name server on the machine's loopback (systemd-resolved, dnsmasq) cannot be reached from another network namespace.
As in Docker, the servers that systemd-resolved itself asks stand in for it, then public ones.
"""

from collections.abc import Iterable, Sequence
from ipaddress import ip_address

RESOLV_CONF = "/etc/resolv.conf"
RESOLVED_CONF = "/run/systemd/resolve/resolv.conf"
_PUBLIC_SERVERS = ("8.8.8.8", "8.8.4.4")


def isolated_resolv_conf(texts: Sequence[str]) -> str:
    """texts: of the machine's resolver files, the preferred first; the first with a server that is reachable counts."""
    for text in texts:
        lines = [line for line in text.splitlines() if not _names_loopback(line)]
        if any(line.split()[:1] == ["nameserver"] for line in lines):
            return "".join(f"{line}\n" for line in lines)
    rest = [line for line in (texts[0] if texts else "").splitlines() if not _names_loopback(line)]
    return "".join(f"{line}\n" for line in [*rest, *(f"nameserver {server}" for server in _PUBLIC_SERVERS)])


def hosts_file(host_name: str, entries: Iterable[tuple[str, str]]) -> str:
    """entries: of --add-host: name, address."""
    own = f"127.0.0.1\tlocalhost {host_name}\n::1\tlocalhost ip6-localhost ip6-loopback\n"
    return own + "".join(f"{address}\t{name}\n" for name, address in entries)


def _names_loopback(line: str) -> bool:
    words = line.split()
    if words[:1] != ["nameserver"] or len(words) < 2:
        return False
    try:
        return ip_address(words[1].partition("%")[0]).is_loopback
    except ValueError:
        return False
