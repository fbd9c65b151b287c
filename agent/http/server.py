"""`serve_http`: runs a handler on listeners; `HttpServer` is the running server, to be looked at and stopped.

Shutdown: `stop(grace_seconds)` closes the listeners and idle connections at once; what is being answered has the
grace to end, then it is cancelled. Cancelling `serve_http` itself cuts everything off.
"""

import errno
import logging
from collections.abc import Sequence

import trio

from agent.http.connection import ServerConnection
from agent.http.exchange import Service
from agent.http.limits import HttpLimits
from agent.http.response import FailureMapping, Handler, plain_failure

logger = logging.getLogger("shoal.http")

_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})
_EXHAUSTED_PAUSE_SECONDS = 0.1

StreamListener = trio.abc.Listener[trio.abc.Stream] | trio.abc.Listener[trio.SocketStream]


class HttpServer:
    def __init__(self, handler: Handler, on_failure: FailureMapping, limits: HttpLimits) -> None:
        self._service = Service(handler, on_failure, limits)
        self._slots = trio.Semaphore(limits.connections)
        self._connections: dict[ServerConnection, None] = {}  # in the order of their arrival
        self._accepting = trio.CancelScope()
        self._handling = trio.CancelScope()

    @property
    def connection_count(self) -> int:
        return len(self._connections)

    def stop(self, grace_seconds: float) -> None:
        """`serve_http` returns when every answer is out, after the grace at the latest."""
        self._accepting.cancel()
        self._handling.deadline = min(self._handling.deadline, trio.current_time() + grace_seconds)
        for connection in list(self._connections):
            connection.stop()

    async def run(
        self, listeners: Sequence[StreamListener], task_status: trio.TaskStatus["HttpServer"]
    ) -> None:
        with self._handling:
            async with trio.open_nursery() as connections:
                with self._accepting:
                    async with trio.open_nursery() as acceptors:
                        for listener in listeners:
                            acceptors.start_soon(self._accept_from, listener, connections)
                        task_status.started(self)

    async def _accept_from(self, listener: StreamListener, connections: trio.Nursery) -> None:
        async with listener:
            while True:
                stream = await _accept(listener)
                try:
                    await self._wait_slot()
                except trio.Cancelled:
                    await trio.aclose_forcefully(stream)
                    raise
                connections.start_soon(self._run_connection, stream)

    async def _wait_slot(self) -> None:
        if self._slots.value == 0:
            idle = next((connection for connection in self._connections if connection.is_idle), None)
            if idle is not None:
                idle.stop()
        await self._slots.acquire()

    async def _run_connection(self, stream: trio.abc.Stream) -> None:
        connection = ServerConnection(stream, self._service)
        self._connections[connection] = None
        if self._accepting.cancel_called:
            connection.stop()
        try:
            await connection.run()
        except Exception:  # a bug of ours must not take the other connections with it
            logger.exception("a connection ended unexpectedly")
        finally:
            del self._connections[connection]
            self._slots.release()


async def _accept(listener: StreamListener) -> trio.abc.Stream:
    """The next connection; waits where this process has run out of descriptors or memory."""
    while True:
        try:
            return await listener.accept()
        except OSError as error:
            if error.errno not in _EXHAUSTED:
                raise
            logger.warning("cannot accept connections: %s", error.strerror)
            await trio.sleep(_EXHAUSTED_PAUSE_SECONDS)


async def serve_http(
    handler: Handler,
    listeners: Sequence[StreamListener],
    *,
    on_failure: FailureMapping = plain_failure,
    limits: HttpLimits = HttpLimits(),  # noqa: B008 (frozen)
    task_status: trio.TaskStatus[HttpServer] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Runs until stopped or cancelled, and closes the listeners. `task_status` gives the HttpServer.

    `on_failure` turns a ShoalError of a handler, or of a body that has sent nothing yet, into an answer.
    """
    await HttpServer(handler, on_failure, limits).run(listeners, task_status)
