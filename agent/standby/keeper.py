"""`keep_standby`: what an agent does so that commands find a standby process: nothing, until a first one comes.

The agent listens; who connects while there is no server is sent away at once (and runs the command itself), and a
server is started, which takes the socket over as its standard input. When it ends, because nobody came for a while,
the agent listens again. A node whose commands nobody uses never pays for it.
"""

import errno
import logging
import os
import select
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from subprocess import PIPE

import trio

_log = logging.getLogger(__name__)
_BACKLOG = 64
_AGAIN_SECONDS = 60.0


class Taken(Exception):
    """Another process serves there."""


async def keep_standby(path: Path, command: Sequence[str]) -> None:
    """Until cancelled. command: starts a server that finds the listening socket as its standard input, and says a line
    when it is ready. Where the socket cannot be made it returns: commands go without. Where another agent has it, or
    the server of one that was killed, we have it after them."""
    try:
        listener = await _wait_listener(path)
    except OSError as error:
        _log.debug("no standby process: %s: %s", path, error.strerror)
        return
    with listener:
        try:
            while True:
                await trio.lowlevel.wait_readable(listener)
                if _send_away(listener):
                    await _serve(listener, command)
        finally:
            _remove(path)


async def _wait_listener(path: Path) -> socket.socket:
    """Raises OSError."""
    while True:
        try:
            return listen(path)
        except Taken:
            await trio.sleep(_AGAIN_SECONDS)


def listen(path: Path) -> socket.socket:
    """For this user alone. Raises Taken, OSError."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    if path.parent.stat().st_uid not in (0, os.getuid()):
        raise PermissionError(errno.EPERM, "its directory is another user's")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        try:
            listener.bind(str(path))
        except OSError:
            if _somebody_listens(path):
                raise Taken from None
            path.unlink()  # of an agent that was killed
            listener.bind(str(path))
        path.chmod(0o600)  # nobody can connect yet
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


def _somebody_listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except BlockingIOError:  # more wait there than it lets
            return True
        except OSError:
            return False
    return True


def _send_away(listener: socket.socket) -> bool:
    """Whether it was still there: who hung up only looked."""
    try:
        connection, _ = listener.accept()
    except OSError:
        return False
    with connection:
        return not select.select([connection], [], [], 0)[0]


async def _serve(listener: socket.socket, command: Sequence[str]) -> None:
    process = await trio.lowlevel.open_process(command, stdin=listener.fileno(), stdout=PIPE)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_send_all_away, listener)
            assert process.stdout is not None
            await process.stdout.receive_some(1)
            nursery.cancel_scope.cancel()
        status = await process.wait()
    finally:
        if process.returncode is None:
            process.terminate()
            with trio.CancelScope(shield=True):
                await process.wait()
    if status != 0:
        _log.warning("the standby process ended with status %d; the next one starts in a minute", status)
        with trio.move_on_after(_AGAIN_SECONDS):
            await _send_all_away(listener)


async def _send_all_away(listener: socket.socket) -> None:
    while True:
        await trio.lowlevel.wait_readable(listener)
        _send_away(listener)
