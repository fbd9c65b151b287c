"""`same_rights`: a command is carried out for a process that may do exactly what we may, and sees the same system.

Compared are user and group, capabilities, no_new_privs and seccomp (proc(5), /proc/PID/status), the namespaces and the
root directory. So the socket gives nobody anything: what differs runs in the process that asked.
"""

import socket
import struct
from pathlib import Path

_LINES = ("Uid", "Gid", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp")
_NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid: unix(7), SO_PEERCRED


def peer_of(connection: socket.socket) -> tuple[int, int]:
    """Process id and user id of who connected, as the kernel noted them then."""
    pid, uid, _gid = _CREDENTIALS.unpack(
        connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    )
    return pid, uid


def same_rights(pid: int) -> bool:
    """Whether process `pid` is as this one. False too where it is gone."""
    try:
        return _rights(f"/proc/{pid}") == _rights("/proc/self")
    except (OSError, ValueError):
        return False


def groups_of(pid: int) -> list[int]:
    """Supplementary groups. Raises OSError."""
    return [int(group) for group in _status(f"/proc/{pid}")["Groups"].split()]


def _rights(process: str) -> tuple[object, ...]:
    status = _status(process)
    namespaces = (Path(f"{process}/ns/{name}").readlink() for name in _NAMESPACES)
    root = Path(f"{process}/root").stat()
    return (
        *(status.get(line) for line in _LINES),
        *namespaces,
        root.st_dev,
        root.st_ino,
    )


def _status(process: str) -> dict[str, str]:
    with open(f"{process}/status", encoding="utf-8", errors="replace") as file:
        return {name: value.strip() for name, _, value in (line.partition(":") for line in file)}
