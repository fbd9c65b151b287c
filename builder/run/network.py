"""The network of one RUN: the machine's own, none, or one of its own behind NAT: a link, two addresses, some rules.

The namespace has no name: a descriptor holds it, so it goes, and the link with it, when this process and the last one
in it have ended. Firewall rules do not go by themselves: reservation.py keeps a record of them.
"""

import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from builder.run.address_pool import Route, choose_range, parse_routes
from builder.run.firewall import Firewall, find_firewall
from builder.run.link import close_link, link_mtu, open_link, switch_on_forwarding
from builder.run.name_resolution import ipv4_servers, read_resolver
from builder.run.reservation import clean_up_reservations, reserve

RESERVATIONS = Path("/run/shoal/networks")
_USUAL_MTU = 1500


@dataclass(slots=True)
class Network:
    """namespace: its path; "" a new, empty one; None the machine's own. `close` once, when nothing runs in it.

    gateway: where this machine is, seen from inside.
    """

    namespace: str | None
    gateway: str = "127.0.0.1"
    _closing: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def close(self) -> None:
        self._closing.close()


def open_network(
    mode: str, reservations: Path = RESERVATIONS, find: Callable[[], Firewall] = find_firewall
) -> Network:
    """mode: default, none or host. Raises RunError where there is no way to make one, OSError. Blocking."""
    if mode != "default":
        return Network(None if mode == "host" else "")
    firewall, routes = find(), parse_routes(Path("/proc/net/route").read_text())
    range_ = choose_range(routes, ipv4_servers(read_resolver(isolated=True)))
    with contextlib.ExitStack() as stack:
        reservation = reserve(reservations, range_, firewall)
        stack.callback(reservation.release)
        stack.callback(firewall.forbid, reservation.block)
        switch_on_forwarding()
        firewall.allow(reservation.block)
        namespace_fd = open_link(reservation.block, _mtu(routes))
        stack.callback(close_link, reservation.block)
        stack.callback(os.close, namespace_fd)
        return Network(
            f"/proc/{os.getpid()}/fd/{namespace_fd}", str(reservation.block.gateway), stack.pop_all()
        )


def clean_up_networks(reservations: Path = RESERVATIONS) -> None:
    """Takes away what killed processes left of theirs."""
    clean_up_reservations(reservations)


def _mtu(routes: Sequence[Route]) -> int:
    """Of the way out: packets that are larger would be lost where nobody may tell."""
    for route in routes:
        if route.destination.prefixlen == 0:
            with contextlib.suppress(OSError):
                return link_mtu(route.interface)
    return _USUAL_MTU
