"""`ServerConnection`: one client's connection, request after request.

Theory of operation. Two tasks: `Inbound.run` receives all the time; `_serve` takes a request, runs the handler and
its body under one cancel scope, and goes on with the next. A hang-up, a stalled client and a stop all end in a
cancelled scope. How an answer ended decides about the connection (`_Outcome`): kept, closed after a lingering read
(so that the client can still read the answer), or broken off by a reset.
Caps and deadlines are HttpLimits'; who may connect, and how many, is the server's.
"""

import enum
import logging

import h11
import trio

from agent.content.errors import InputError, ShoalError
from agent.http.byte_sender import ByteSender, ConnectionLost, StreamSender
from agent.http.headers import Headers
from agent.http.inbound import Inbound, ReceivedEvent
from agent.http.limits import HttpLimits
from agent.http.request import Peer, Request
from agent.http.response import FailureMapping, Handler, Response, plain_response
from agent.http.response_writer import ResponseWriter
from agent.http.socket_sender import SocketSender

logger = logging.getLogger("shoal.http")

_LINGER_SECONDS = 2.0
_LINGER_BYTES = 1024 * 1024
_DRAIN_BYTES = 64 * 1024  # an unread body of this size is swallowed to keep the connection


class _Outcome(enum.Enum):
    KEEP = enum.auto()
    CLOSE = enum.auto()
    BREAK_OFF = enum.auto()


class ServerConnection:
    def __init__(
        self, stream: trio.abc.Stream, handler: Handler, on_failure: FailureMapping, limits: HttpLimits
    ) -> None:
        self._stream = stream
        self._handler = handler
        self._on_failure = on_failure
        self._limits = limits
        self._protocol = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.header_bytes)
        self._inbound = Inbound(stream, self._protocol)
        self._sender: ByteSender
        if isinstance(stream, trio.SocketStream):
            self._sender = SocketSender(stream, limits.write_seconds)
        else:
            self._sender = StreamSender(stream, limits.write_seconds)
        self._peer = _peer_of(stream)
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
                nursery.start_soon(self._inbound.run)
                await self._serve()
                nursery.cancel_scope.cancel()
        finally:
            await trio.aclose_forcefully(self._stream)

    async def _serve(self) -> None:
        outcome = _Outcome.KEEP
        while outcome is _Outcome.KEEP:
            try:
                event = await self._next_request()
            except h11.RemoteProtocolError as error:
                outcome = await self._refuse(error.error_status_hint or 400, "malformed HTTP request")
            else:
                if event is None:
                    return
                outcome = await self._answer(event)
        if outcome is _Outcome.BREAK_OFF:
            await self._sender.abort()
        else:
            await self._linger()

    async def _next_request(self) -> h11.Request | None:
        """None where there will be none. Raises h11.RemoteProtocolError."""
        if self._stopping:
            return None
        event: ReceivedEvent = h11.NEED_DATA
        with trio.CancelScope(deadline=trio.current_time() + self._limits.idle_seconds) as scope:
            self._idle_scope = scope
            while (event := self._inbound.next_event_nowait()) is h11.NEED_DATA:
                await self._inbound.wait_data()
                if self._idle_scope is not None:  # the first bytes of a request
                    self._idle_scope = None
                    scope.deadline = trio.current_time() + self._limits.header_seconds
        was_idle, self._idle_scope = self._idle_scope is not None, None
        if isinstance(event, h11.Request):
            if was_idle:  # pipelined: nothing was waited for, so others get their turn here
                await trio.lowlevel.checkpoint()
            return event
        if not was_idle and event is h11.NEED_DATA and scope.cancelled_caught:
            await self._refuse(408, "the request's header did not arrive in time")
            await self._linger()
        return None

    async def _answer(self, event: h11.Request) -> _Outcome:
        """Runs the handler and sends what it returns."""
        outcome = _Outcome.BREAK_OFF
        with trio.CancelScope() as scope:
            writer = ResponseWriter(self._protocol, self._sender, scope, head_only=event.method == b"HEAD")
            writer.closing = self._stopping
            if self._inbound.closed:
                scope.cancel()
            self._inbound.on_hang_up = scope.cancel
            outcome = await self._respond(event, writer)
        self._inbound.on_hang_up = None
        return _Outcome.BREAK_OFF if scope.cancelled_caught else outcome

    async def _respond(self, event: h11.Request, writer: ResponseWriter) -> _Outcome:
        try:
            request = self._request(event, writer)
            response = await self._handler(request)
        except ShoalError as error:
            response = self._on_failure(error)
        except Exception:
            logger.exception("unexpected failure of %s", _line_of(event))
            response = _internal_failure()
        try:
            outcome = await self._send(response, event, writer)
        finally:
            try:
                if response.resources is not None:
                    await response.resources.aclose()
            finally:
                if response.on_done is not None:
                    response.on_done(writer.body_bytes)
        return outcome

    def _request(self, event: h11.Request, writer: ResponseWriter) -> Request:
        headers = Headers(event.headers)
        if "transfer-encoding" in headers and ("content-length" in headers or event.http_version < b"1.1"):
            # RFC 9112 6.1 and 6.3: what two servers may read differently is an attempt to smuggle a request
            writer.closing = True
            raise InputError("a request carries Content-Length or Transfer-Encoding, not both")

        async def receive_body() -> bytes:
            return await self._receive_body(writer)

        target = event.target.decode("latin-1")
        return Request(event.method.decode("ascii"), target, headers, receive_body, self._peer)

    async def _receive_body(self, writer: ResponseWriter) -> bytes:
        if self._protocol.their_state is not h11.SEND_BODY:
            return b""
        if self._protocol.they_are_waiting_for_100_continue:
            await writer.send_continue()
        try:
            with trio.move_on_after(self._limits.body_seconds):
                event = await self._inbound.next_event()
                return bytes(event.data) if isinstance(event, h11.Data) else b""
        except h11.RemoteProtocolError as error:
            writer.closing = True
            raise InputError(f"malformed request body: {error}") from None
        writer.closing = True
        raise InputError(f"the request's body brought no byte in {self._limits.body_seconds:.0f} s")

    async def _send(self, response: Response, event: h11.Request, writer: ResponseWriter) -> _Outcome:
        if self._protocol.they_are_waiting_for_100_continue:
            writer.closing = (
                True  # whether the body comes after this answer is anybody's guess (RFC 9110 10.1.1)
            )
        try:
            await writer.send_response(response)
        except ShoalError as error:
            logger.info(
                "answer broken off: %s %.200r: %s", event.method.decode("latin-1"), event.target, error
            )
            replacement = self._on_failure(error)
        except Exception:
            logger.exception("unexpected failure of %s", _line_of(event))
            replacement = _internal_failure()
        else:
            return _Outcome.CLOSE if writer.closing else await self._after_answer()
        if not writer.started:
            await self._send_bare(replacement, head_only=event.method == b"HEAD")
            return _Outcome.CLOSE
        return _Outcome.BREAK_OFF

    async def _after_answer(self) -> _Outcome:
        protocol = self._protocol
        if protocol.their_state is h11.SEND_BODY:
            await self._drain_body()
        if protocol.our_state is h11.DONE and protocol.their_state is h11.DONE and not self._stopping:
            protocol.start_next_cycle()
            return _Outcome.KEEP
        return _Outcome.CLOSE

    async def _drain_body(self) -> None:
        """To the end of a body that the handler left unread: mostly nothing; a little is waited for."""
        try:
            event: ReceivedEvent = self._inbound.next_event_nowait()
            drained = 0
            with trio.move_on_after(_LINGER_SECONDS):
                while (
                    drained < _DRAIN_BYTES
                    and event is not h11.PAUSED
                    and not isinstance(event, h11.EndOfMessage)
                ):
                    drained += len(event.data) if isinstance(event, h11.Data) else 0
                    event = await self._inbound.next_event()
        except h11.RemoteProtocolError:
            pass  # the state says so, too

    async def _refuse(self, status: int, text: str) -> _Outcome:
        """Answers what is no request; the connection cannot be used after it."""
        await self._send_bare(plain_response(status, text))
        return _Outcome.CLOSE

    async def _send_bare(self, response: Response, *, head_only: bool = False) -> None:
        """An answer outside of h11's state, which has failed; always the last one. Nothing, where the client left."""
        protocol = h11.Connection(h11.SERVER)
        with trio.CancelScope() as scope:
            writer = ResponseWriter(protocol, self._sender, scope, head_only=head_only)
            writer.closing = True
            await writer.send_response(Response(response.status, response.headers, response.body))

    async def _linger(self) -> None:
        """Closing with unread input would reset the connection and take the answer with it (RFC 9112 9.6)."""
        with trio.move_on_after(_LINGER_SECONDS):
            try:
                await self._sender.send_eof()
            except ConnectionLost:
                return
            await self._inbound.discard_until_closed(_LINGER_BYTES)


def _line_of(event: h11.Request) -> str:
    """For the log: without the query, which may hold a secret."""
    return f"{event.method.decode('latin-1')} {event.target.partition(b'?')[0][:200].decode('latin-1')}"


def _internal_failure() -> Response:
    return plain_response(500, "internal error; the server's log has more")


def _peer_of(stream: trio.abc.Stream) -> Peer:
    if not isinstance(stream, trio.SocketStream):
        return Peer("stream")
    try:
        name = stream.socket.getpeername()
    except OSError:
        return Peer("tcp", "gone")
    return Peer("tcp", f"{name[0]}:{name[1]}") if isinstance(name, tuple) else Peer("unix")
