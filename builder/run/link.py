"""A network namespace without a name, and the pair of links between it and this machine."""

import contextlib
import fcntl
import logging
import os
import socket
import struct
import subprocess
import threading
from pathlib import Path

from builder.run.address_pool import PREFIX_BITS, Block
from builder.run.errors import RunError
from builder.run.kernel import unshare_network
from builder.run.programs import find_program

_SECONDS = 30.0
_SIOCGIFMTU = 0x8921
_FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
_logger = logging.getLogger("shoal.build")


def open_link(block: Block, mtu: int) -> int:
    """A descriptor of the namespace, which lives as long as that is open or something runs in it.

    Raises RunError, OSError.
    """
    fd = _new_namespace(_inner_commands(block, mtu))
    try:
        _ip(f"address add {block.gateway}/{PREFIX_BITS} dev {block.link}\nlink set {block.link} up\n")
    except BaseException:
        os.close(fd)
        raise
    return fd


def close_link(block: Block) -> None:
    """Removes both ends, if they are there."""
    with contextlib.suppress(OSError):
        socket.if_nametoindex(block.link)
        _ip(f"link delete {block.link}\n", check=False)


def link_mtu(name: str) -> int:
    """Raises OSError. Asked of the kernel: a mounted /sys may show another network namespace's links."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        answer = fcntl.ioctl(asking, _SIOCGIFMTU, struct.pack("16si12x", name.encode(), 0))
    return int(struct.unpack("16si12x", answer)[1])


def switch_on_forwarding() -> None:
    """As Docker does, and it stays on: others may rely on it by then."""
    if _FORWARDING.read_text().strip() == "0":
        _FORWARDING.write_text("1")
        _logger.warning("IPv4 forwarding is switched on, which the network of RUN needs")


def _inner_commands(block: Block, mtu: int) -> str:
    outside = f"/proc/{os.getpid()}/ns/net"  # the main thread's
    return (
        "link set lo up\n"
        f"link add eth0 mtu {mtu} type veth peer name {block.link} mtu {mtu} netns {outside}\n"
        f"address add {block.address}/{PREFIX_BITS} dev eth0\n"
        "link set eth0 up\n"
        f"route add default via {block.gateway}\n"
    )


def _new_namespace(commands: str) -> int:
    """In a thread that ends with it: no other work may ever run in a thread that is in another network."""
    outcome: list[int | RunError | OSError] = []
    thread = threading.Thread(target=_enter_namespace, args=(commands, outcome), name="new network")
    thread.start()
    thread.join()
    (result,) = outcome
    if isinstance(result, int):
        return result
    raise result


def _enter_namespace(commands: str, outcome: list[int | RunError | OSError]) -> None:
    fd = -1
    try:
        unshare_network()
        fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        _ip(commands)
        outcome.append(fd)
    except (OSError, RunError) as error:
        if fd >= 0:
            os.close(fd)
        outcome.append(error)


def _ip(commands: str, *, check: bool = True) -> None:
    program = find_program("ip")
    if program is None:
        raise RunError(
            "RUN with a network of its own needs the command ip; on Debian and Ubuntu: apt-get install iproute2; "
            "or build with --network=host"
        )
    done = subprocess.run(
        [program, "-batch", "-"], input=commands.encode(), capture_output=True, timeout=_SECONDS, check=False
    )
    if check and done.returncode != 0:
        failure = done.stderr.decode(errors="replace").strip()
        raise RunError(f"the network of RUN cannot be set up: {failure}; --network=host needs none")
