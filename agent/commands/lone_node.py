"""`with_lone_node`: a node that lives as long as a command, where no agent runs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from agent.settings.settings import Settings

if TYPE_CHECKING:
    from agent.node.node import Node


@asynccontextmanager
async def with_lone_node(settings: Settings) -> "AsyncIterator[Node]":
    """On ports of its own. An expected failure must not travel through it: catch it inside, and raise it after."""
    from agent.node.node import open_node  # with a running agent none of this is loaded
    from agent.telemetry.metrics import Metrics

    peer = settings.peer
    anywhere = replace(peer, listen=replace(peer.listen, port=0), advertise=replace(peer.advertise, port=0))
    async with open_node(replace(settings, peer=anywhere), Metrics()) as node:
        yield node
