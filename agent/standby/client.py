"""`run_in_standby`: a command is carried out by a process that has everything loaded, with this one's terminal,
environment and rights, and this one waits for its exit status.

Where none is there, or it declines, None: then the command runs in this process, as if there were none. So it does
where none answers soon: nothing that hangs makes a command hang. Ctrl-C and Ctrl-Z are passed on; when this process
ends in any other way, the one that works for it hears of that and is interrupted.

It imports as little as it can, the socket module's core instead of `socket`: that is all a fast command takes.
"""

import _signal  # type: ignore[import-not-found]  # `signal` without its enums
import os
import sys
from _socket import AF_UNIX, SCM_RIGHTS, SO_PEERCRED, SOCK_STREAM, SOL_SOCKET, socket

from agent.standby.request import GREETING, LENGTH_BYTES, Request

VARIABLE = "SHOAL_STANDBY_SOCKET"  # as the setting standby.socket; no file is read so early
ROOT_SOCKET = "/run/shoal/standby.sock"
# They live long, or are the standby process itself.
_NEVER = ("agent", "up", "tracker", "simulate", "standby")
# To run a command here takes a third of that; of several at once each waits for those before it, a 20th of a second.
_PATIENCE_SECONDS = 0.5
_PID_BYTES = 4
_CREDENTIALS_BYTES = 12  # pid, uid, gid
_KILLED = 137


def run_in_standby(arguments: list[str], patience_seconds: float = _PATIENCE_SECONDS) -> int | None:
    """The exit status; None where the command is to run here."""
    path = os.environ.get(VARIABLE) or (ROOT_SOCKET if os.getuid() == 0 else "none")
    if path == "none" or not arguments or arguments[0] in _NEVER or not _ordinary(arguments):
        return None
    connection = socket(AF_UNIX, SOCK_STREAM)
    try:
        connection.settimeout(patience_seconds)
        connection.connect(path)
        if _user_of(connection) != os.getuid() or connection.recv(len(GREETING)) != GREETING:
            return None  # somebody else listens there; it declines
        connection.settimeout(None)
        if not _taken(connection, arguments):
            return None
    except OSError:
        return None
    return _wait(connection)


def _user_of(connection: socket) -> int:
    credentials = connection.getsockopt(SOL_SOCKET, SO_PEERCRED, _CREDENTIALS_BYTES)
    return int.from_bytes(credentials[4:8], sys.byteorder)


def _ordinary(arguments: list[str]) -> bool:
    """Nothing is there that cannot be taken over: a Python of another kind; more descriptors than the first three, as
    of a shell's <(...), which is /dev/fd/63."""
    return (
        sys.getfilesystemencoding() == "utf-8"
        and None not in (sys.stdin, sys.stdout, sys.stderr)
        and not any("/fd/" in text for text in (*arguments, *os.environ.values()))
    )


def place() -> bytes:
    """Which Python, with which of our code."""
    return os.fsencode(f"{sys.prefix}:{__file__}")


def _ask(connection: socket, arguments: list[str]) -> None:
    umask = os.umask(0o077)
    os.umask(umask)
    request = Request(
        place=place(),
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


def _taken(connection: socket, arguments: list[str]) -> bool:
    """Whether it carries the command out; signals of the terminal are for that process then."""
    waiting = _signal.pthread_sigmask(_signal.SIG_BLOCK, {_signal.SIGINT, _signal.SIGTSTP})
    try:
        _ask(connection, arguments)
        answer = connection.recv(_PID_BYTES)
        if len(answer) != _PID_BYTES:
            return False
        _pass_signals_on(int.from_bytes(answer, "big"))
        return True
    finally:
        _signal.pthread_sigmask(_signal.SIG_SETMASK, waiting)


def _pass_signals_on(pid: int) -> None:
    if _signal.getsignal(_signal.SIGINT) == _signal.default_int_handler:  # not where it is ignored
        _signal.signal(_signal.SIGINT, lambda *_: _tell(pid, _signal.SIGINT))
    if _signal.getsignal(_signal.SIGTSTP) == _signal.SIG_DFL:
        _signal.signal(_signal.SIGTSTP, lambda *_: _stop_both(pid))


def _wait(connection: socket) -> int:
    try:
        status = connection.recv(1)
    except ConnectionResetError:
        status = b""
    if status:
        return status[0]
    os.write(2, b"shoal: the process that carried this command out was killed\n")
    return _KILLED


def _stop_both(pid: int) -> None:
    """Ctrl-Z, and in time `fg`. As ever it does nothing where nobody could continue us: signal(7), orphaned groups."""
    _tell(pid, _signal.SIGSTOP)
    handler = _signal.signal(_signal.SIGTSTP, _signal.SIG_DFL)
    os.kill(os.getpid(), _signal.SIGTSTP)
    _signal.signal(_signal.SIGTSTP, handler)
    _tell(pid, _signal.SIGCONT)


def _tell(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass  # it ended just now
