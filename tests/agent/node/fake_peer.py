"""A neighbour made by hand: it greets as a node does, and then says whatever a test wants it to say."""

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import trio

from agent.node.handshake import greet_as_dialler
from agent.node.link_stream import LinkStream, link_stream
from agent.node.node import Node
from agent.wire.node_id import NodeId
from agent.wire.peer_messages import (
    LENGTH_BYTES,
    Bye,
    Chunk,
    Message,
    Ping,
    decode_body,
    encode_frame,
    frame_length,
)
from agent.wire.vouch import NodeKey


class FakePeer:
    def __init__(self, stream: LinkStream, key: NodeKey) -> None:
        self.stream = stream
        self.key = key

    async def send(self, *messages: Message) -> None:
        await self.stream.send([encode_frame(message) for message in messages])

    async def send_chunk(self, channel: int, index: int, data: bytes, offset: int = 0) -> None:
        await self.stream.send([encode_frame(Chunk(channel, index, offset, len(data))), data])

    async def receive(self) -> Message | None:
        """The next message but PING; the bytes of a CHUNK are skipped."""
        while True:
            message = decode_body(await self._take(frame_length(await self._take(LENGTH_BYTES))))
            if isinstance(message, Chunk):
                await self._take(message.length)
            if not isinstance(message, Ping):
                return message

    async def receive_kind(self, kind: type[Message]) -> Message:
        while True:
            message = await self.receive()
            if isinstance(message, kind):
                return message
            assert not isinstance(message, Bye), message.reason

    async def _take(self, count: int) -> bytes:
        taken = bytearray(count)
        position = 0
        while position < count:
            received = await self.stream.receive_into(memoryview(taken)[position:])
            if not received:
                raise EOFError
            position += received
        return bytes(taken)


def key_of(number: int) -> NodeKey:
    return NodeKey.from_seed(bytes([number]) * 32, "default")


async def connect(node: Node) -> trio.SocketStream:
    host, _, port = node.peer_address.rpartition(":")
    return await trio.open_tcp_stream(host, int(port))


def _anybody(node: NodeId) -> None:
    pass


@asynccontextmanager
async def open_fake_peer(node: Node, key: NodeKey | None = None) -> AsyncIterator[FakePeer]:
    """Linked with `node`."""
    key = key or key_of(1)
    async with aclosing(link_stream(await connect(node))) as stream:
        await greet_as_dialler(stream, key, "default", _anybody)
        yield FakePeer(stream, key)
