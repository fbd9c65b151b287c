"""How a peer link begins: who each side is, and that it is.

    dialler                         acceptor
    HELLO(node, nonce)     <->      HELLO(node, nonce)
    PROOF(signature)        ->
                           <-       PROOF(signature), or BYE(reason): no link

A PROOF signs the cluster, the signer's part, both ids and both nonces with the key that *is* the node's id, so nobody
links in another's name, and no old proof can be used again. (It does not bind what comes after: that is TLS's matter.)
The acceptor's PROOF is its consent, so both sides agree at once whether there is a link.
"""

import secrets
from collections.abc import Callable

import trio

from agent.content.errors import PeerError
from agent.node.link_stream import LinkStream
from agent.wire.node_id import NodeId
from agent.wire.peer_messages import (
    LENGTH_BYTES,
    NONCE_BYTES,
    PROTOCOL_VERSION,
    Bye,
    Hello,
    Message,
    Proof,
    decode_body,
    encode_frame,
    frame_length,
)
from agent.wire.vouch import NodeKey, is_signed_by

HANDSHAKE_SECONDS = 3.0
_MAX_BYTES = 1024  # of one frame


class Declined(PeerError):
    """The other side wants no link now, and says why."""


Check = Callable[[NodeId], None]
"""May there be a link with this node? Raises PeerError."""


async def greet_as_dialler(stream: LinkStream, key: NodeKey, cluster: str, check: Check) -> NodeId:
    """Who is at the other end; it consents to a link. Raises PeerError."""
    with trio.move_on_after(HANDSHAKE_SECONDS):
        mine, theirs = await _exchange_hellos(stream, key, cluster)
        check(theirs.node)
        await stream.send([encode_frame(_prove(key, "dialler", mine, theirs))])
        _verify(await _receive(stream), "acceptor", mine, theirs)
        return theirs.node
    raise PeerError("it did not greet in time")


async def greet_as_acceptor(
    stream: LinkStream, key: NodeKey, cluster: str, check: Check
) -> tuple[NodeId, Proof]:
    """Who is at the other end, and the consent that makes it a link: the caller's first message. Raises PeerError."""
    with trio.move_on_after(HANDSHAKE_SECONDS):
        mine, theirs = await _exchange_hellos(stream, key, cluster)
        check(theirs.node)
        _verify(await _receive(stream), "dialler", mine, theirs)
        return theirs.node, _prove(key, "acceptor", mine, theirs)
    raise PeerError("it did not greet in time")


async def _exchange_hellos(stream: LinkStream, key: NodeKey, cluster: str) -> tuple[Hello, Hello]:
    mine = Hello(PROTOCOL_VERSION, cluster, key.node, secrets.token_bytes(NONCE_BYTES))
    await stream.send([encode_frame(mine)])
    theirs = await _receive(stream)
    if not isinstance(theirs, Hello):
        raise PeerError("it did not say HELLO first")
    if theirs.version != PROTOCOL_VERSION:
        raise PeerError(f"it speaks version {theirs.version} of the protocol, we {PROTOCOL_VERSION}")
    if theirs.cluster != cluster:
        raise PeerError(f"it belongs to cluster {theirs.cluster!r}, we to {cluster!r}")
    if theirs.node == key.node:
        raise PeerError("it is this node itself")
    return mine, theirs


def _prove(key: NodeKey, part: str, mine: Hello, theirs: Hello) -> Proof:
    return Proof(key.sign(_statement(part, signer=mine, other=theirs)))


def _verify(message: Message | None, part: str, mine: Hello, theirs: Hello) -> None:
    if isinstance(message, Bye):
        raise Declined(f"it declined: {message.reason}")
    if not isinstance(message, Proof):
        raise PeerError("it did not prove who it is")
    if not is_signed_by(theirs.node, _statement(part, signer=theirs, other=mine), message.signature):
        raise PeerError("it is not the node that it says it is")


def _statement(part: str, signer: Hello, other: Hello) -> bytes:
    who = signer.node + other.node + signer.nonce + other.nonce
    return f"shoal link 1\n{signer.cluster}\n{part}\n".encode() + who


async def _receive(stream: LinkStream) -> Message | None:
    length = frame_length(await _receive_exactly(stream, LENGTH_BYTES))
    if length > _MAX_BYTES:
        raise PeerError("it does not greet")
    return decode_body(await _receive_exactly(stream, length))


async def _receive_exactly(stream: LinkStream, count: int) -> bytes:
    data = bytearray(count)
    position = 0
    while position < count:
        received = await stream.receive_into(memoryview(data)[position:])
        if received == 0:
            raise PeerError("it closed the link")
        position += received
    return bytes(data)
