"""`pull_watched`: one node's pull over its admin socket, its progress kept up to date line by line."""

import json
from functools import partial

import trio

from agent.content.errors import PeerError
from agent.content.reference import Reference
from agent.http.client import HttpClient
from tests.clients.shoal_node import ShoalNode
from tests.demo.progress import NodeProgress

_LINE_BYTES = 4 << 20
_CALL_SECONDS = 10.0
_LINE_SECONDS = 60.0  # they come every tenth of a second, but the machine may be busy


async def pull_watched(
    node: ShoalNode, reference: Reference, progress: NodeProgress, started_at: float
) -> None:
    """Raises PeerError where the agent cannot be asked; a pull that fails is in `progress`."""
    connect = partial(trio.open_unix_socket, node.directory / "shoal.sock")
    client = HttpClient(connect, host=progress.name, failure=PeerError)
    body = json.dumps({"reference": str(reference), "platform": None}).encode()
    try:
        async with client.open_response(
            "POST", "/v1/pull", body=body, deadline_seconds=_CALL_SECONDS
        ) as answer:
            progress.state = "pulling"
            while line := await answer.receive_line(_LINE_BYTES, _LINE_SECONDS):
                progress.on_line(json.loads(line), trio.current_time() - started_at)
    finally:
        await client.aclose()
    if progress.state == "pulling":
        progress.fail("the agent broke off")
    totals = (await node.status())["traffic"]["total_bytes"]
    progress.registry_bytes, progress.peer_bytes = totals["registry_in"], totals["peers_in"]
