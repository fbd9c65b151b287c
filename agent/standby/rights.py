"""`has_our_rights`: a command is carried out for a process that may do exactly what we may, and sees the same system.

Compared are user and group, capabilities, no_new_privs and seccomp (proc(5), /proc/PID/status), what a security module
calls it, the namespaces and the root directory. So the socket gives nobody anything: what differs runs in the process
that asked. Linux before 6.5 cannot tell a process from a later one with its number.
"""

import os
import select
import socket
import struct
from contextlib import suppress
from pathlib import Path

_LINES = (
    "Uid", "Gid", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Seccomp_filters"
)  # fmt: skip
_NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid: unix(7), SO_PEERCRED
_SO_PEERPIDFD = 77


def has_our_rights(connection: socket.socket) -> bool:
    """Whether who connected is as this process. False too where it is gone."""
    pid = peer_of(connection)
    try:
        return _rights(f"/proc/{pid}") == _rights("/proc/self") and not _has_ended(connection)
    except (OSError, ValueError):
        return False


def peer_of(connection: socket.socket) -> int:
    """The process that connected, as the kernel noted it then; 0 for one that we cannot see."""
    pid, _uid, _gid = _CREDENTIALS.unpack(
        connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    )
    return int(pid)


def groups_of(pid: int) -> list[int]:
    """Supplementary groups. Raises OSError."""
    return [int(group) for group in _status(f"/proc/{pid}")["Groups"].split()]


def _has_ended(connection: socket.socket) -> bool:
    """Asked last: then what was read was of no other process."""
    try:
        process = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERPIDFD)
    except OSError:
        return False  # an older kernel
    try:
        return bool(select.select([process], [], [], 0)[0])
    finally:
        os.close(process)


def _rights(process: str) -> tuple[object, ...]:
    status = _status(process)
    namespaces = (Path(f"{process}/ns/{name}").readlink() for name in _NAMESPACES)
    root = Path(f"{process}/root")
    file = root.stat()
    return (
        *(status.get(line) for line in _LINES),
        *namespaces,
        root.readlink(),  # the same directory may be mounted at two places
        file.st_dev,
        file.st_ino,
        _label(process),
    )


def _status(process: str) -> dict[str, str]:
    with open(f"{process}/status", encoding="utf-8", errors="replace") as file:
        return {name: value.strip() for name, _, value in (line.partition(":") for line in file)}


def _label(process: str) -> bytes:
    """Of SELinux or AppArmor; nothing where there is neither."""
    with suppress(OSError):
        return Path(f"{process}/attr/current").read_bytes()
    return b""
