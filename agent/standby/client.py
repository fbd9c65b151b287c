"""`run_in_standby`: a command is carried out by a process that has everything loaded, with this one's terminal,
environment and rights, and this one waits for its exit status.

Where none is there, or it declines, None: then the command runs in this process, as if there were none. Ctrl-C is
passed on; when this process ends in any other way, the one that works for it hears of that and is interrupted.

It imports as little as it can, the socket module's core instead of `socket`: that is all a fast command takes.
"""

import os
import sys
from _socket import AF_UNIX, SCM_RIGHTS, SO_PEERCRED, SOCK_STREAM, SOL_SOCKET, socket

from agent.standby.request import LENGTH_BYTES, Request

VARIABLE = "SHOAL_STANDBY_SOCKET"  # as the setting standby.socket; no file is read so early
ROOT_SOCKET = "/run/shoal/standby.sock"
# They live long, or are the standby process itself.
_NEVER = ("agent", "up", "tracker", "simulate", "standby")
_PID_BYTES = 4
_KILLED = 137
_SIGINT = 2


def run_in_standby(arguments: list[str]) -> int | None:
    """The exit status; None where the command is to run here."""
    path = os.environ.get(VARIABLE) or (ROOT_SOCKET if os.getuid() == 0 else "none")
    if path == "none" or not arguments or arguments[0] in _NEVER or not _ordinary():
        return None
    connection = socket(AF_UNIX, SOCK_STREAM)
    try:
        connection.connect(path)
        if (
            int.from_bytes(connection.getsockopt(SOL_SOCKET, SO_PEERCRED, 12)[4:8], sys.byteorder)
            != os.getuid()
        ):
            return None  # somebody else listens there
        _ask(connection, arguments)
        pid = connection.recv(_PID_BYTES)
    except OSError:
        return None
    return _wait(connection, int.from_bytes(pid, "big")) if len(pid) == _PID_BYTES else None


def _ordinary() -> bool:
    """A Python of another kind, in ways that cannot be taken over, runs the command itself."""
    return sys.getfilesystemencoding() == "utf-8" and None not in (sys.stdin, sys.stdout, sys.stderr)


def _ask(connection: socket, arguments: list[str]) -> None:
    umask = os.umask(0o077)
    os.umask(umask)
    request = Request(
        place=os.fsencode(__file__),
        encoding=f"{sys.stdout.encoding}:{sys.stdout.errors}".encode(),
        umask=umask,
        arguments=[os.fsencode(argument) for argument in arguments],
        environment=[name + b"=" + value for name, value in os.environb.items()],
    ).encode()
    directory = os.open(".", os.O_PATH | os.O_DIRECTORY)
    descriptors = b"".join(fd.to_bytes(4, sys.byteorder) for fd in (0, 1, 2, directory))
    sent = connection.sendmsg([request[:LENGTH_BYTES]], [(SOL_SOCKET, SCM_RIGHTS, descriptors)])
    connection.sendall(request[sent:])
    os.close(directory)


def _wait(connection: socket, pid: int) -> int:
    while True:
        try:
            status = connection.recv(1)
        except KeyboardInterrupt:
            os.kill(pid, _SIGINT)
            continue
        except ConnectionResetError:
            status = b""
        if status:
            return status[0]
        os.write(2, b"shoal: the process that carried this command out was killed\n")
        return _KILLED
