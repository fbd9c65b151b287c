"""`Exchange`: one request and its answer on a server connection; `Outcome` is what that means for the connection.

Handler and body run under one cancel scope, which a hang-up or a stalled client cancels. Whatever they raise ends
here: as an answer where nothing has left yet, as BREAK_OFF after that.
"""

import enum
import logging
from dataclasses import dataclass

import h11
import trio

from agent.content.errors import InputError, ShoalError
from agent.http.byte_sender import ByteSender
from agent.http.headers import Headers
from agent.http.inbound import ReceivedEvent
from agent.http.limits import HttpLimits
from agent.http.request import Request
from agent.http.response import FailureMapping, Handler, Response, plain_response
from agent.http.response_writer import ResponseWriter
from agent.http.transport import Transport

logger = logging.getLogger("shoal.http")

_DRAIN_BYTES = 64 * 1024  # an unread body of this size is swallowed to keep the connection
_DRAIN_SECONDS = 2.0


class Outcome(enum.Enum):
    KEEP = enum.auto()
    """h11 is ready for the next request."""
    CLOSE = enum.auto()
    BREAK_OFF = enum.auto()
    """The client must not take what it got for whole."""


@dataclass(frozen=True, slots=True)
class Service:
    """What a server does with every request."""

    handler: Handler
    on_failure: FailureMapping
    limits: HttpLimits


class Exchange:
    def __init__(self, transport: Transport, service: Service, head: h11.Request, *, last: bool) -> None:
        """`last`: the answer tells the client that the connection ends with it."""
        self._transport = transport
        self._service = service
        self._head = head
        self._scope = trio.CancelScope()
        self._writer = ResponseWriter(
            transport.protocol, transport.sender, self._scope, head_only=head.method == b"HEAD"
        )
        self._writer.closing = last

    async def run(self) -> Outcome:
        """Runs the handler and sends what it returns."""
        outcome = Outcome.BREAK_OFF
        inbound = self._transport.inbound
        with self._scope:
            if inbound.closed:
                self._scope.cancel()
            inbound.on_hang_up = self._scope.cancel
            response = await self._ask_handler()
            try:
                outcome = await self._send(response)
            finally:
                await self._finish(response)
        inbound.on_hang_up = None
        return Outcome.BREAK_OFF if self._scope.cancelled_caught else outcome

    async def _ask_handler(self) -> Response:
        try:
            return await self._service.handler(self._request())
        except ShoalError as error:
            return self._service.on_failure(error)
        except Exception:
            logger.exception("unexpected failure of %s", self)
            return _unexpected()

    async def _finish(self, response: Response) -> None:
        try:
            if response.resources is not None:
                await response.resources.aclose()
        finally:
            if response.on_done is not None:
                response.on_done(self._writer.body_bytes)

    def _request(self) -> Request:
        head = self._head
        headers = Headers(head.headers)
        if "transfer-encoding" in headers and ("content-length" in headers or head.http_version < b"1.1"):
            # RFC 9112 6.1 and 6.3: what two servers may read differently is an attempt to smuggle a request
            self._writer.closing = True
            raise InputError("a request carries Content-Length or Transfer-Encoding, not both")
        method, target = head.method.decode("ascii"), head.target.decode("ascii")
        return Request(method, target, headers, self._receive_body, self._transport.peer)

    async def _receive_body(self) -> bytes:
        protocol = self._transport.protocol
        if protocol.their_state is not h11.SEND_BODY:
            return b""
        if protocol.they_are_waiting_for_100_continue:
            await self._writer.send_continue()
        body_seconds = self._service.limits.body_seconds
        try:
            with trio.move_on_after(body_seconds):
                event = await self._transport.inbound.next_event()
                return bytes(event.data) if isinstance(event, h11.Data) else b""
        except h11.RemoteProtocolError as error:
            self._writer.closing = True
            raise InputError(f"malformed request body: {error}") from None
        self._writer.closing = True
        raise InputError(f"the request's body brought no byte in {body_seconds:g} s")

    async def _send(self, response: Response) -> Outcome:
        writer = self._writer
        if self._transport.protocol.they_are_waiting_for_100_continue:
            writer.closing = True  # RFC 9110 10.1.1: its body may follow this answer, or not
        try:
            await writer.send_response(response)
        except ShoalError as error:
            logger.info("answer to %s failed: %s", self, error)
            replacement = self._service.on_failure(error)
        except Exception:
            logger.exception("unexpected failure of the answer to %s", self)
            replacement = _unexpected()
        else:
            return Outcome.CLOSE if writer.closing else await self._go_on()
        if writer.started:
            return Outcome.BREAK_OFF
        await send_last_answer(self._transport.sender, replacement, head_only=self._head.method == b"HEAD")
        return Outcome.CLOSE

    async def _go_on(self) -> Outcome:
        protocol = self._transport.protocol
        if protocol.their_state is h11.SEND_BODY:
            await self._drain_body()
        if protocol.our_state is h11.DONE and protocol.their_state is h11.DONE:
            protocol.start_next_cycle()
            return Outcome.KEEP
        return Outcome.CLOSE

    async def _drain_body(self) -> None:
        """To the end of a body that the handler left unread: mostly nothing; a little is waited for."""
        inbound = self._transport.inbound
        drained = 0
        try:
            event: ReceivedEvent = inbound.next_event_nowait()
            if isinstance(event, h11.EndOfMessage):
                return  # every GET
            with trio.move_on_after(_DRAIN_SECONDS):
                while drained < _DRAIN_BYTES and not isinstance(event, h11.EndOfMessage):
                    drained += len(event.data) if isinstance(event, h11.Data) else 0
                    event = await inbound.next_event()
        except h11.RemoteProtocolError:
            pass  # its state says so, too

    def __str__(self) -> str:
        """For the log: without the query, which may hold a secret."""
        path = self._head.target.partition(b"?")[0][:200]
        return f"{self._head.method.decode('ascii')} {path.decode('ascii')}"


def _unexpected() -> Response:
    """All that a client learns of a bug."""
    return plain_response(500, "internal error; the server's log has more")


async def send_last_answer(sender: ByteSender, response: Response, *, head_only: bool = False) -> None:
    """An answer beside a connection's h11 state, which has failed. Nothing happens where the client has left."""
    with trio.CancelScope() as scope:
        writer = ResponseWriter(h11.Connection(h11.SERVER), sender, scope, head_only=head_only)
        writer.closing = True
        await writer.send_response(Response(response.status, response.headers, response.body))
