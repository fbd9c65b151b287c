"""`ResponseWriter`: one answer on its way out: h11's framing around bytes and file spans. It is the `BodySink`.

Invariant: the head leaves with the first bytes of the body where it can (one system call for a small answer), and
once it has left, `started` is True and only the promised body may follow: too much, too little or an error in the
middle is for the connection to break off.
A client that is gone is a cancellation: `scope` is cancelled, and whoever was sending sees trio.Cancelled.
"""

import time
from email.utils import formatdate
from http import HTTPStatus
from typing import cast

import h11
import trio

from agent.http.byte_sender import ByteSender, ConnectionLost, read_file
from agent.http.response import Bytes, Response

_INLINE_FILE_BYTES = 64 * 1024  # up to this, reading and one writev with the head beat a sendfile
_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}
_NO_BODY = frozenset({204, 304})
_date: tuple[int, str] = (0, "")


class _FileSpan:
    """Stands in for bytes that sendfile will send: h11 asks for the length alone."""

    __slots__ = ("_count",)

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count


class ResponseWriter:
    def __init__(
        self, protocol: h11.Connection, sender: ByteSender, scope: trio.CancelScope, *, head_only: bool
    ) -> None:
        self._protocol = protocol
        self._sender = sender
        self._scope = scope
        self._head_only = head_only
        self._head: list[Bytes] = []
        self.started = False
        self.body_bytes = 0
        self.closing = False
        """Set to tell the client that this is the last answer on its connection."""

    async def send_response(self, response: Response) -> None:
        """Head and body. What the body raises passes through; h11.LocalProtocolError where it breaks its promise."""
        body = response.body
        length = len(body) if isinstance(body, bytes) else body.length
        self._make_head(response, length)
        if self._head_only or response.status in _NO_BODY:
            pass
        elif not isinstance(body, bytes):
            await body.send_to(self)
        elif body:
            await self._send([*self._framed(body), *self._end()])
            self.body_bytes = len(body)
            return
        await self._send(self._end())

    def _make_head(self, response: Response, length: int | None) -> None:
        headers = [("Date", http_date()), *response.headers]
        told = any(name.lower() == "content-length" for name, _ in response.headers)
        if length is not None and not told and response.status not in _NO_BODY:
            headers.append(("Content-Length", str(length)))
        if self.closing:
            headers.append(("Connection", "close"))
        reason = _REASONS.get(response.status, b"")
        event = h11.Response(status_code=response.status, headers=headers, reason=reason)
        self._head = cast("list[Bytes]", self._protocol.send_with_data_passthrough(event))

    def _framed(self, data: "Bytes | _FileSpan") -> list[Bytes]:
        event = h11.Data(data=cast(bytes, data))
        return cast("list[Bytes]", self._protocol.send_with_data_passthrough(event))

    def _end(self) -> list[Bytes]:
        return cast("list[Bytes]", self._protocol.send_with_data_passthrough(h11.EndOfMessage()))

    async def send(self, data: Bytes) -> None:
        if len(data) and not self._head_only:
            await self._send(self._framed(data))
            self.body_bytes += len(data)

    async def flush(self) -> None:
        await self._send([])

    async def send_file(self, fd: int, offset: int, count: int) -> None:
        if self._head_only or count == 0:
            return
        if count <= _INLINE_FILE_BYTES:
            data = read_file(fd, offset, count)
            await self.send(data)
            if len(data) < count:
                await self.send_file(fd, offset + len(data), count - len(data))
            return
        span = _FileSpan(count)
        before, after = _around(self._framed(span), span)
        await self._send(before)
        await self._send_span(fd, offset, count)
        await self._send(after)

    async def _send_span(self, fd: int, offset: int, count: int) -> None:
        before = self._sender.file_bytes
        try:
            await self._sender.send_file(fd, offset, count)
        except ConnectionLost:
            await self._give_up()
        finally:
            self.body_bytes += self._sender.file_bytes - before

    async def send_continue(self) -> None:
        event = h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue")
        await self._send_raw(cast("list[Bytes]", self._protocol.send_with_data_passthrough(event)))

    async def _send(self, pieces: list[Bytes]) -> None:
        if self._head:
            pieces = [*self._head, *pieces]
            self._head = []
            self.started = True
        await self._send_raw(pieces)

    async def _send_raw(self, pieces: list[Bytes]) -> None:
        if pieces:
            try:
                await self._sender.send(pieces)
            except ConnectionLost:
                await self._give_up()

    async def _give_up(self) -> None:
        self._scope.cancel()
        await trio.lowlevel.checkpoint()


def _around(pieces: list[Bytes], span: _FileSpan) -> tuple[list[Bytes], list[Bytes]]:
    """What h11 wants before and after the span (sizes of a chunk); nothing where the length was declared."""
    place = next(n for n, piece in enumerate(pieces) if cast(object, piece) is span)
    return pieces[:place], pieces[place + 1 :]


def http_date() -> str:
    """The Date of an answer, formatted once a second."""
    global _date
    now = int(time.time())
    if _date[0] != now:
        _date = (now, formatdate(now, usegmt=True))
    return _date[1]
