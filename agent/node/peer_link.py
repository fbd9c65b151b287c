"""`PeerLink`: one connection with one node: frames in, frames out, chunk bytes beside them.

Control frames never wait behind more than one segment of chunk bytes. Chunk bytes come in straight into the buffer of
the transfer that was asked for, and go out by sendfile; bytes of a transfer that nobody asked for (it was cancelled a
moment ago) are read and thrown away, within limits. What the frames mean is the LinkHandler's.

Deadlines: a neighbour that owes us chunk bytes and sends none for some seconds, whatever else it says, is dead; so is
one that says nothing at all, not even PING, for longer. One that merely drips is let go of, too (patience.py).
"""

import os
from collections import deque
from dataclasses import dataclass
from typing import Protocol

import trio

from agent.content.errors import DiskError, PeerError
from agent.node.flusher import Flusher
from agent.node.link_stream import LinkStream
from agent.node.patience import Patience
from agent.node.rate_limit import RateLimit
from agent.node.traffic import Traffic
from agent.wire.node_id import NodeId
from agent.wire.peer_messages import (
    LENGTH_BYTES,
    MAX_FRAME_BYTES,
    Bye,
    Chunk,
    Message,
    Ping,
    decode_body,
    encode_frame,
    frame_length,
)
from agent.wire.shape import Malformed

_PING_SECONDS = 10.0
_LOOK_SECONDS = 0.05
_TURN_SECONDS = 1.0
_GOODBYE_SECONDS = 0.2
_MAX_OUTBOX_BYTES = 4 * 1024 * 1024
_READ_BYTES = 64 * 1024
_SEGMENT_BYTES = 128 * 1024  # as much as the socket takes (link_stream.py); MAX_SEGMENT_BYTES may come
_UNASKED_BYTES = 8 * 1024 * 1024  # beyond what was asked for and then cancelled
_MAX_STARTS = 3  # of one transfer: again after a cancellation that it crossed

Transfer = tuple[int, int]  # (channel, chunk index)


class LinkHandler(Protocol):
    """What happens on a link. Called from the link's task; must not block."""

    def on_message(self, link: "PeerLink", message: Message) -> None:
        """Raises PeerError to end the link."""

    def on_chunk(self, link: "PeerLink", channel: int, index: int, data: bytearray) -> None:
        """A transfer that was asked for (`expect`) is here whole."""

    def on_sent(self, link: "PeerLink", channel: int, index: int) -> None:
        """A chunk has left, or its sending was cancelled."""


@dataclass(slots=True)
class _Outgoing:
    """A chunk being sent: the rest of it is `count - sent` bytes of `fd` from `offset + sent`."""

    transfer: Transfer
    fd: int
    offset: int
    count: int
    sent: int = 0


@dataclass(slots=True)
class _Incoming:
    """A chunk being received. `data` is allocated with its first byte."""

    length: int
    data: bytearray | None = None
    received: int = 0
    starts: int = 0

    def room_for(self, chunk: Chunk) -> memoryview:
        if self.data is None:
            self.data = bytearray(self.length)
        if chunk.offset == 0:
            self.starts += 1
        if self.starts > _MAX_STARTS:
            raise Malformed(f"chunk {chunk.index} begins again and again")
        return memoryview(self.data)[chunk.offset : chunk.offset + chunk.length]


class PeerLink:
    def __init__(
        self,
        stream: LinkStream,
        node: NodeId,
        address: str,
        handler: LinkHandler,
        *,
        dialled: bool,
        upload: RateLimit,
        download: RateLimit,
        traffic: Traffic,
        flusher: Flusher,
    ) -> None:
        """`address`: where the node is reached, for people and for PEERS. `dialled`: we opened the connection."""
        self.node = node
        self.address = address
        self.dialled = dialled
        self.bytes_received = 0
        self.bytes_sent = 0
        self.why_closed = ""
        self._stream = stream
        self._handler = handler
        self._upload_rate = upload
        self._traffic = traffic
        self._flusher = flusher
        self._is_writing = False
        self._is_over = False
        self._download_rate = download
        self._outbox: deque[bytes] = deque()
        self._outbox_bytes = 0
        self._outgoing: deque[_Outgoing] = deque()
        self._incoming: dict[Transfer, _Incoming] = {}
        self._spare_bytes = _UNASKED_BYTES
        self._patience = Patience(trio.current_time())
        self._started_at = trio.current_time()
        self._passes_at = float("-inf")
        self._reserved = 0
        self._wake = trio.Event()
        self._scope = trio.CancelScope()
        self._watching = trio.CancelScope()
        self._waits_turn = False

    # ---- for the handler: none of these block

    def send(self, message: Message) -> None:
        self.send_encoded(encode_frame(message))

    def send_encoded(self, frame: bytes) -> None:
        """A frame of encode_frame: what goes to many links is encoded once."""
        self._outbox.append(frame)
        self._outbox_bytes += len(frame)
        if self._outbox_bytes > _MAX_OUTBOX_BYTES:
            self.close("it does not read what we send")
        self._flusher.add(self)

    def flush(self) -> None:
        """For the Flusher. Where the writer is at work, or has to wait, it sends the rest."""
        if self._is_writing or self._is_over or not self._outbox:
            return
        frames = self._take_outbox()
        sent = self._stream.send_nowait(frames)
        if sent < len(frames):
            self._outbox.append(frames[sent:])
            self._outbox_bytes += len(frames) - sent
            self._wake.set()

    def _take_outbox(self) -> bytes:
        frames = b"".join(self._outbox)  # small; and sendmsg takes no more than 1024 pieces
        self._outbox.clear()
        self._outbox_bytes = 0
        return frames

    def send_chunk(self, channel: int, index: int, fd: int, offset: int, count: int) -> None:
        """`count` bytes of `fd` from `offset`; the descriptor must stay open until on_sent."""
        self._outgoing.append(_Outgoing((channel, index), fd, offset, count))
        self._wake.set()

    def cancel_sending(self, channel: int, index: int) -> None:
        for outgoing in self._outgoing:
            if outgoing.transfer == (channel, index):
                outgoing.count = outgoing.sent  # the writer takes it out
                self._wake.set()

    def drop_sending(self, channel: int) -> None:
        """No more from this swarm: its descriptor is about to be closed."""
        self._outgoing = deque(item for item in self._outgoing if item.transfer[0] != channel)

    def expect(self, channel: int, index: int, length: int) -> None:
        """A chunk of `length` bytes was asked for; `channel` is the other side's number for the swarm."""
        if not self._incoming:
            self._patience.on_owed(trio.current_time())
        self._incoming[channel, index] = _Incoming(length)
        self._watching.deadline = min(self._watching.deadline, self._patience_ends())

    def forget(self, channel: int, index: int) -> None:
        """What still comes of this transfer is thrown away."""
        incoming = self._incoming.pop((channel, index), None)
        if incoming is not None:
            self._spare_bytes += incoming.length - incoming.received

    @property
    def seconds_up(self) -> float:
        return trio.current_time() - self._started_at

    def close(self, reason: str) -> None:
        self.why_closed = self.why_closed or reason
        self._scope.cancel()

    # ---- the link's life

    async def run(self) -> None:
        """Until either side ends it; `why_closed` says why. Raises nothing that is expected."""
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._write)
                    nursery.start_soon(self._watch)
                    try:
                        await self._read()
                    except PeerError as error:
                        self.close(str(error))
                    nursery.cancel_scope.cancel()
        finally:
            self._is_over = True
            await self._say_goodbye()

    async def _say_goodbye(self) -> None:
        with trio.CancelScope(deadline=trio.current_time() + _GOODBYE_SECONDS, shield=True):
            try:
                await self._stream.send([encode_frame(Bye(self.why_closed[:200]))])
            except PeerError:
                pass
        with trio.CancelScope(shield=True):
            await self._stream.aclose()

    async def _watch(self) -> None:
        """PING now and then; and the end of a link whose neighbour tries our patience. (One task with one deadline:
        a deadline for each read would cost more than the reads.)"""
        ping_at = trio.current_time() + _PING_SECONDS
        while True:
            with trio.CancelScope(deadline=min(ping_at, self._patience_ends())) as self._watching:
                await trio.sleep_forever()
            now = trio.current_time()
            if now >= ping_at:
                self.send(Ping())
                ping_at = now + _PING_SECONDS
            if now >= self._patience_ends():
                self._stream.look()
                await trio.sleep(_LOOK_SECONDS)
            if now >= self._patience_ends():
                self.close(
                    "it owes a chunk and sends none of it" if self._incoming else "it has fallen silent"
                )

    async def _write(self) -> None:
        """What the Flusher could not send at once; between frames one segment of the foremost chunk, when the rate
        allows it."""
        self._is_writing = True
        try:
            while True:
                outgoing = self._next_outgoing()
                if self._outbox:
                    await self._stream.send([self._take_outbox()])
                elif outgoing is not None and self._may_pass(outgoing):
                    await self._send_segment(outgoing)
                else:
                    self._wake, self._is_writing = trio.Event(), False
                    with trio.move_on_at(float("inf") if outgoing is None else self._passes_at):
                        await self._wake.wait()
                    self._is_writing = True
        except (PeerError, DiskError) as error:
            self.close(str(error))

    def _may_pass(self, outgoing: _Outgoing) -> bool:
        """Does the upload rate let a segment pass now? (Its share is kept for whichever chunk is next then.)"""
        if not self._reserved:
            self._reserved = self._upload_rate.portion(min(outgoing.count - outgoing.sent, _SEGMENT_BYTES))
            self._passes_at = self._upload_rate.reserve(self._reserved)
        return self._passes_at <= trio.current_time()

    async def _send_segment(self, outgoing: _Outgoing) -> None:
        """The swarm may end, and close its descriptor, meanwhile: the segment is read from one of its own."""
        count = min(outgoing.count - outgoing.sent, self._reserved)
        self._reserved = 0
        try:
            fd = os.dup(outgoing.fd)
        except OSError as error:
            raise DiskError(f"cannot read a chunk: {error.strerror}") from None
        try:
            await self._stream.send([encode_frame(Chunk(*outgoing.transfer, outgoing.sent, count))])
            await self._stream.send_file(fd, outgoing.offset + outgoing.sent, count)
        finally:
            os.close(fd)
        outgoing.sent += count
        self.bytes_sent += count
        self._traffic.count_sent("peer", count)
        self._finish_sent()

    def _next_outgoing(self) -> _Outgoing | None:
        self._finish_sent()
        return self._outgoing[0] if self._outgoing else None

    def _finish_sent(self) -> None:
        while self._outgoing and self._outgoing[0].sent >= self._outgoing[0].count:
            self._handler.on_sent(self, *self._outgoing.popleft().transfer)

    # ---- reading

    async def _read(self) -> None:
        store = bytearray(LENGTH_BYTES + MAX_FRAME_BYTES + _READ_BYTES)
        view = memoryview(store)
        start = end = 0  # what is read and not yet used
        while True:
            while (frame := _whole_frame(view[start:end])) is not None:
                start += LENGTH_BYTES + len(frame)
                message = decode_body(frame)
                if isinstance(message, Chunk):
                    start += await self._read_segment(message, view[start:end])
                elif isinstance(message, Bye):
                    raise PeerError(f"it said goodbye: {message.reason}")
                elif message is not None and not isinstance(message, Ping):
                    self._handler.on_message(self, message)
            view[: end - start] = view[start:end]
            start, end = 0, end - start
            end += await self._receive(view[end:])

    async def _receive(self, buffer: memoryview, least: int = 1) -> int:
        count = await self._stream.receive_into(buffer, least)
        if count == 0:
            raise PeerError("it closed the link")
        self._patience.on_heard(trio.current_time())
        return count

    def _patience_ends(self) -> float:
        if self._waits_turn:
            return trio.current_time() + _TURN_SECONDS
        return self._patience.ends_at(is_owed=bool(self._incoming))

    async def _read_segment(self, chunk: Chunk, ahead: memoryview) -> int:
        """Take a segment's raw bytes: first what was read ahead (how much is returned), then from the stream."""
        incoming = self._awaited(chunk)
        target = self._spare(chunk) if incoming is None else incoming.room_for(chunk)
        taken = min(len(ahead), chunk.length)
        target[:taken] = ahead[:taken]
        self._patience.on_bytes(taken, trio.current_time())
        position = taken
        while position < chunk.length:
            count = await self._receive(target[position:], chunk.length - position)
            self._patience.on_bytes(count, trio.current_time())
            position += count
        self.bytes_received += chunk.length
        await self._wait_turn(chunk.length)
        if incoming is not None and self._incoming.get((chunk.channel, chunk.index)) is incoming:
            self._finish_received(chunk, incoming)
        return taken

    async def _wait_turn(self, count: int) -> None:
        """What our own download rate takes of the time is not the neighbour's."""
        before, self._waits_turn = trio.current_time(), True
        await self._download_rate.take(count)
        self._waits_turn = False
        self._patience.on_own_delay(trio.current_time() - before)

    def _awaited(self, chunk: Chunk) -> _Incoming | None:
        """The transfer that this segment continues; None where nobody waits for it (any more)."""
        incoming = self._incoming.get((chunk.channel, chunk.index))
        if incoming is not None and chunk.offset == 0:
            incoming.received = 0  # sent anew after a cancellation
        if incoming is None or chunk.offset != incoming.received:
            return None
        if chunk.offset + chunk.length > incoming.length:
            raise Malformed(f"chunk {chunk.index} is longer than the {incoming.length} bytes it should have")
        return incoming

    def _spare(self, chunk: Chunk) -> memoryview:
        self._spare_bytes -= chunk.length
        if self._spare_bytes < 0:
            raise PeerError("it sends chunks that nobody asked for")
        return memoryview(bytearray(chunk.length))

    def _finish_received(self, chunk: Chunk, incoming: _Incoming) -> None:
        incoming.received += chunk.length
        if incoming.received == incoming.length and incoming.data is not None:
            del self._incoming[chunk.channel, chunk.index]
            self._handler.on_chunk(self, chunk.channel, chunk.index, incoming.data)


def _whole_frame(view: memoryview) -> memoryview | None:
    """The body of the frame at the start of `view`, once all of it is there. Raises Malformed."""
    if len(view) < LENGTH_BYTES:
        return None
    length = frame_length(view[:LENGTH_BYTES])
    return view[LENGTH_BYTES : LENGTH_BYTES + length] if len(view) >= LENGTH_BYTES + length else None
