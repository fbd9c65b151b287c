"""`NodeId`: who a node is. It is the node's Ed25519 public key (RFC 8032), so whoever knows an id can check what its
owner vouched for (see vouch.py), and nobody else can speak in its name."""

from typing import NewType

from agent.wire.shape import Shape, octets

NodeId = NewType("NodeId", bytes)

NODE_ID_BYTES = 32
_OCTETS = octets(NODE_ID_BYTES, exactly=NODE_ID_BYTES)
NODE_ID: Shape[NodeId] = Shape(lambda value: NodeId(_OCTETS.decode(value)), lambda node: node)


def short(node: NodeId) -> str:
    """The 12 hex digits by which logs and status name a node."""
    return node.hex()[:12]
