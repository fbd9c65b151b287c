"""`UnixListener`: a unix socket at a path, for this user alone (0600).

A socket file outlives its process, so its mere presence tells nothing: a lock beside it (`<path>.lock`, held for as
long as we listen) says whether another daemon of ours is there, and a trial connection whether anything else is.
Only a dead socket is replaced; a file of another kind never is.
"""

import fcntl
import os
import socket
import stat
from pathlib import Path

import trio

from agent.content.errors import DiskError

_BACKLOG = 128


class UnixListener(trio.abc.Listener[trio.SocketStream]):
    def __init__(self, listener: trio.SocketListener, path: Path, lock_fd: int) -> None:
        self._listener = listener
        self._lock_fd: int | None = lock_fd
        self.path = path

    async def accept(self) -> trio.SocketStream:
        return await self._listener.accept()

    async def aclose(self) -> None:
        """Removes the socket file while the lock is still held: it may be another's right after."""
        lock_fd, self._lock_fd = self._lock_fd, None
        if lock_fd is not None:
            self._listener.socket.close()
            self.path.unlink(missing_ok=True)
            os.close(lock_fd)
        await trio.lowlevel.checkpoint()


async def open_unix_listener(path: Path) -> UnixListener:
    """Raises DiskError where the path is taken, cannot be made, or is longer than unix sockets allow."""
    try:
        lock_fd = _lock(path)
    except OSError as error:
        raise DiskError(f"cannot listen on unix:{path}: {error.strerror}") from None
    try:
        _remove_dead_socket(path)
        return UnixListener(trio.SocketListener(trio.socket.from_stdlib_socket(_bind(path))), path, lock_fd)
    except OSError as error:
        os.close(lock_fd)
        raise DiskError(f"cannot listen on unix:{path}: {error.strerror or error}") from None
    except DiskError:
        os.close(lock_fd)
        raise


def _lock(path: Path) -> int:
    fd = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise DiskError(f"another daemon listens on unix:{path}") from None
    return fd


def _remove_dead_socket(path: Path) -> None:
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise DiskError(f"cannot listen on unix:{path}: a file that is no socket is there")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)  # a unix socket answers at once; a full backlog (EAGAIN) is alive, too
        try:
            probe.connect(os.fspath(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
        except BlockingIOError:
            pass
    raise DiskError(f"another program listens on unix:{path}")


def _bind(path: Path) -> socket.socket:
    """The mode is set before listen(): nobody connects to a socket that does not listen yet."""
    listening = socket.socket(socket.AF_UNIX)
    try:
        listening.bind(os.fspath(path))
        path.chmod(0o600)
        listening.listen(_BACKLOG)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening
