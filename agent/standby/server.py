"""`serve_standby`: a process for every command that a client brings, which is that client in all but its id.

The server itself only forks: it opens nothing and keeps no state, so that each command begins as in a process of its
own. Before that it has rehearsed some, since Python runs code faster that it has run several times (PEP 659); trio's
idle workers, the only threads that this leaves, are forgotten in a fork by trio itself. One fork is always there before
its command is: it has rehearsed one, too, so that the memory that a command writes to is its own already. Both halve
the time of a short command. The next fork is made when a command has ended, or takes long: a rehearsal beside it would
slow it down. While it sees whom it works for, the server sees whether it may: whether its code is that of the disk.

It ends when nobody came for a while, when the code on the disk is no longer what it has loaded, and when its parent is
gone. Needs Linux: SCM_RIGHTS, SO_PEERCRED, F_SETSIG.
"""

import fcntl
import gc
import os
import select
import signal
import socket
import struct
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

from agent.standby import client
from agent.standby.becoming import become
from agent.standby.request import DESCRIPTORS, GREETING, LENGTH_BYTES, MAX_REQUEST_BYTES, Request, decode
from agent.standby.rights import has_our_rights, peer_of

_LOOK_SECONDS = 5.0
_REST_SECONDS = 0.05  # of a command that takes no longer, nobody comes before its end
_REHEARSALS = 10  # eight times until Python has a closer look at a function
_HEAR_SECONDS = 10.0
_VERDICT_SECONDS = 0.5  # no client waits longer for a greeting either
_FAILURE = 1
_OURS = ("agent", "builder", "shoal", "__main__")
_NO_MATTER = (b"PYTHONUNBUFFERED=", b"PYTHONDONTWRITEBYTECODE=")  # every line, and all in the end, is flushed

_F_SETOWN_EX, _F_OWNER_TID = 15, 0  # fcntl(2)

_CAME, _FRESH, _STALE = b"c", b"f", b"s"

# Carries a command out, given the arguments behind the program's name: returns, or raises SystemExit.
Run = Callable[[list[str]], object]


def serve_standby(
    listener: socket.socket,
    run: Run,
    rehearse: Callable[[], object],
    idle_seconds: float,
    on_ready: Callable[[], None],
) -> None:
    """Returns when it is of no more use. Call it when everything is loaded. rehearse: changes nothing that lasts."""
    parent = os.getppid()
    loaded = _files_loaded()
    with _into_nothing():
        for _ in range(_REHEARSALS):
            _rehearse(rehearse)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    gc.collect()
    gc.freeze()  # what is loaded stays shared
    listener.setblocking(False)
    on_ready()
    is_fresh = True
    while is_fresh and os.getppid() == parent:
        ours, theirs = socket.socketpair()
        if os.fork() == 0:
            ours.close()
            _be_there(listener, theirs, run, rehearse)
        theirs.close()
        with ours, suppress(ConnectionError):
            if not _somebody_comes(ours, parent, idle_seconds):
                return
            is_fresh = loaded == _files_loaded(loaded)  # while the fork sees whom it works for
            ours.sendall(_FRESH if is_fresh else _STALE)
            select.select([ours], [], [], _REST_SECONDS)  # it hangs up when it ends


def _somebody_comes(spare: socket.socket, parent: int, idle_seconds: float) -> bool:
    """To the fork; not where it ended, or the parent is gone."""
    last = time.monotonic()
    while time.monotonic() - last < idle_seconds and os.getppid() == parent:
        if select.select([spare], [], [], _LOOK_SECONDS)[0]:
            return spare.recv(1) == _CAME
    return False


def _be_there(
    listener: socket.socket,
    server: socket.socket,
    run: Run,
    rehearse: Callable[[], object],
) -> NoReturn:
    """In the fork: until a command comes, or the server is gone."""
    try:
        os.setpgid(0, 0)  # a Ctrl-C of the server's terminal is not meant for it
        for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        _be_nowhere()
        _rehearse(rehearse)
        _rehearse_questions()
        while True:
            if server in select.select([listener, server], [], [])[0]:
                os._exit(0)
            connection = _accept(listener)
            if connection is not None:
                break
        server.sendall(_CAME)
        listener.close()
        _carry_out(connection, server, run)
    finally:
        os._exit(_FAILURE)


def _accept(listener: socket.socket) -> socket.socket | None:
    """None where it hung up already."""
    try:
        connection, _ = listener.accept()
    except (BlockingIOError, ConnectionAbortedError):
        return None
    if select.select([connection], [], [], 0)[0]:  # it waits for a greeting, and sends nothing before
        connection.close()
        return None
    return connection


@contextmanager
def _into_nothing() -> Iterator[None]:
    """What is read and written meanwhile."""
    ours = [os.dup(number) for number in range(3)]
    _be_nowhere()
    try:
        yield
    finally:
        for number, descriptor in enumerate(ours):
            os.dup2(descriptor, number)
            os.close(descriptor)


def _be_nowhere() -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(nowhere, number)
    os.close(nowhere)


def _rehearse(rehearse: Callable[[], object]) -> None:
    with suppress(Exception, SystemExit):
        rehearse()
    sys.stdout.flush()  # into nothing, not to the client


def _rehearse_questions() -> None:
    """What is asked before each command."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        has_our_rights(ours)


def _files_loaded(files: Iterable[str] | None = None) -> dict[str, int]:
    """When the files of our own modules were changed last, in ns; 0 for one that is gone."""
    if files is None:
        ours = [m for name, m in sys.modules.items() if name.partition(".")[0] in _OURS]
        files = [file for module in ours if (file := getattr(module, "__file__", None)) is not None]
    return {file: _changed_at(file) for file in files}


def _changed_at(file: str) -> int:
    try:
        return os.stat(file).st_mtime_ns  # noqa: PTH116 -- of hundreds, before each command
    except OSError:
        return 0


def _carry_out(connection: socket.socket, server: socket.socket, run: Run) -> NoReturn:
    """In the fork. It hangs up on who has other rights, or came when the code on the disk had changed: then the command
    runs there."""
    status = _FAILURE
    try:
        connection.sendall(GREETING)  # it gets its request ready while its rights are looked at
        server.settimeout(_VERDICT_SECONDS)
        if not has_our_rights(connection):
            os._exit(_FAILURE)
        request, descriptors = _receive(connection)
        if not _same_program(request):
            os._exit(_FAILURE)
        become(peer_of(connection), request, descriptors)
        if server.recv(1) != _FRESH:
            os._exit(_FAILURE)
        _mind_hang_up(connection)
        connection.sendall(os.getpid().to_bytes(4, "big"))
        status = _status_of(run, [os.fsdecode(argument) for argument in request.arguments])
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # too late
        _be_nowhere()  # who reads the output to its end need not wait until this memory has been given back
        connection.sendall(bytes([status & 0xFF]))
    except (OSError, ValueError):
        pass  # what asks so, or hung up, gets no answer
    finally:
        os._exit(status & 0xFF)


def _same_program(request: Request) -> bool:
    """The same installation, in a Python that was told the same."""
    told = {variable for variable in request.environment if _tells_python(variable)}
    ours = {name + b"=" + value for name, value in os.environb.items()}
    return request.place == client.place() and told == set(filter(_tells_python, ours))


def _tells_python(variable: bytes) -> bool:
    return variable.startswith((b"PYTHON", b"LD_")) and not variable.startswith(_NO_MATTER)


def _receive(connection: socket.socket) -> tuple[Request, list[int]]:
    """Raises OSError, ValueError."""
    connection.setblocking(True)
    connection.settimeout(_HEAR_SECONDS)
    head, descriptors, _flags, _address = socket.recv_fds(connection, LENGTH_BYTES, DESCRIPTORS)
    size = int.from_bytes(head, "big")
    if len(head) != LENGTH_BYTES or len(descriptors) != DESCRIPTORS or size > MAX_REQUEST_BYTES:
        raise ValueError("no request")
    body = bytearray()
    while len(body) < size:
        piece = connection.recv(size - len(body))
        if not piece:
            raise ValueError("a request ended in the middle")
        body += piece
    connection.settimeout(None)
    return decode(bytes(body)), descriptors


def _mind_hang_up(connection: socket.socket) -> None:
    """From now on the end of the client is a Ctrl-C to us: fcntl(2), F_SETSIG. It sends nothing more. The signal is the
    one that a stopped process hears, too, and for the main thread: in an idle worker it would wake nobody up."""
    signal.signal(signal.SIGCONT, lambda *_: _interrupt_if_gone(connection))
    fcntl.fcntl(connection, _F_SETOWN_EX, struct.pack("2i", _F_OWNER_TID, os.getpid()))
    fcntl.fcntl(connection, fcntl.F_SETSIG, signal.SIGCONT)
    fcntl.fcntl(connection, fcntl.F_SETFL, fcntl.fcntl(connection, fcntl.F_GETFL) | fcntl.FASYNC)


def _interrupt_if_gone(connection: socket.socket) -> None:
    if select.select([connection], [], [], 0)[0]:
        signal.raise_signal(signal.SIGINT)


def _status_of(run: Run, arguments: list[str]) -> int:
    """As Python's own end of a process would have it: sys.exit(), its texts and its codes."""
    try:
        run(arguments)
        status: object = None
    except SystemExit as end:
        status = end.code
    except KeyboardInterrupt:
        status = 128 + signal.SIGINT
    except Exception:  # noqa: BLE001 -- what nobody has caught is told as Python would, and ends with its status
        traceback.print_exc()
        status = _FAILURE
    if isinstance(status, str):
        sys.stderr.write(f"{status}\n")
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            status = status or _FAILURE
    if status is None:
        return 0
    return status if isinstance(status, int) else _FAILURE
