"""`ServerConnection`: one client's connection, exchange after exchange.

Theory of operation. Two tasks: `Inbound.run` receives all the time; `_serve` waits for the head of a request, lets an
`Exchange` answer it, and goes on as its `Outcome` says: with the next one, with a close after a lingering read (so
that the client can still read the answer), or with a reset. A stop ends an idle connection, and a busy one after its
answer. Caps and deadlines are HttpLimits'; who may connect, and how many, is the server's.
"""

import h11
import trio

from agent.http.byte_sender import ConnectionLost
from agent.http.exchange import Exchange, Outcome, Service, send_last_answer
from agent.http.inbound import ReceivedEvent
from agent.http.response import plain_response
from agent.http.transport import Transport

_LINGER_SECONDS = 2.0
_LINGER_BYTES = 1024 * 1024


class ServerConnection:
    def __init__(self, stream: trio.abc.Stream, service: Service) -> None:
        self._stream = stream
        self._service = service
        self._transport = Transport.over(stream, service.limits)
        self._idle_scope: trio.CancelScope | None = None
        self._stopping = False

    @property
    def is_idle(self) -> bool:
        """Between two requests, with nothing received of the next."""
        return self._idle_scope is not None

    def stop(self) -> None:
        """Ends an idle connection now, a busy one after its answer."""
        self._stopping = True
        if self._idle_scope is not None:
            self._idle_scope.cancel()

    async def run(self) -> None:
        """Until the connection is over; it is closed in every case. Expected failures end it and are not raised."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._transport.inbound.run)
                await self._serve()
                nursery.cancel_scope.cancel()
        finally:
            await trio.aclose_forcefully(self._stream)

    async def _serve(self) -> None:
        outcome = Outcome.KEEP
        while outcome is Outcome.KEEP and not self._stopping:
            try:
                head = await self._next_head()
            except h11.RemoteProtocolError as error:
                outcome = await self._refuse(error.error_status_hint or 400, "malformed HTTP request")
                break
            except trio.TooSlowError:
                outcome = await self._refuse(408, "the request's header did not arrive in time")
                break
            if head is None:
                return
            outcome = await Exchange(self._transport, self._service, head, last=self._stopping).run()
        if outcome is Outcome.BREAK_OFF:
            await self._transport.sender.abort()
        else:
            await self._linger()

    async def _next_head(self) -> h11.Request | None:
        """None where there will be none. Raises h11.RemoteProtocolError; TooSlowError for one that has begun."""
        inbound, limits = self._transport.inbound, self._service.limits
        event: ReceivedEvent = h11.NEED_DATA
        with trio.CancelScope(deadline=trio.current_time() + limits.idle_seconds) as scope:
            self._idle_scope = scope
            try:
                while (event := inbound.next_event_nowait()) is h11.NEED_DATA:
                    await inbound.wait_data()
                    if self._idle_scope is not None:  # the first bytes of a request
                        self._idle_scope = None
                        scope.deadline = trio.current_time() + limits.header_seconds
            finally:
                was_idle, self._idle_scope = self._idle_scope is not None, None
        if isinstance(event, h11.Request):
            if was_idle:  # pipelined: nothing was waited for, so others get their turn here
                await trio.lowlevel.checkpoint()
            return event
        if scope.cancelled_caught and not was_idle:
            raise trio.TooSlowError
        return None

    async def _refuse(self, status: int, text: str) -> Outcome:
        """Answers what is no request; the connection cannot be used after it."""
        await send_last_answer(self._transport.sender, plain_response(status, text))
        return Outcome.CLOSE

    async def _linger(self) -> None:
        """Closing with unread input would reset the connection and take the answer with it (RFC 9112 9.6)."""
        with trio.move_on_after(_LINGER_SECONDS):
            try:
                await self._transport.sender.send_eof()
            except ConnectionLost:
                return
            await self._transport.inbound.discard_until_closed(_LINGER_BYTES)
