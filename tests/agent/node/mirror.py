"""A node's registry endpoint on loopback, and a client of it that takes what comes until the connection ends."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio

from agent.content.errors import SourceError
from agent.http.client import HttpClient
from agent.http.listeners import bound_port, open_listeners
from agent.http.server import serve_http
from agent.node.node import Node
from agent.settings.address import TcpAddress
from registry_proxy.app import failure_response, registry_handler
from registry_proxy.upstreams import UpstreamRules
from tests.agent.node.cluster import REGISTRY

_SECONDS = 20.0


@dataclass(frozen=True)
class Fetched:
    """What a client got. `whole`: the answer ended as HTTP says it should."""

    status: int
    body: bytes
    whole: bool


@dataclass(frozen=True)
class Mirror:
    port: int

    async def get(self, target: str, headers: tuple[tuple[str, str], ...] = ()) -> Fetched:
        """GET /v2/<target>?ns=<the upstream>."""

        async def connect() -> trio.SocketStream:
            return await trio.open_tcp_stream("127.0.0.1", self.port)

        client = HttpClient(connect, host="mirror", failure=SourceError)
        body, status, whole = b"", 0, True
        try:
            async with client.open_response(
                "GET", f"/v2/{target}?ns={REGISTRY}", headers, deadline_seconds=_SECONDS
            ) as answer:
                status = answer.status
                while piece := await answer.receive_some(_SECONDS):
                    body += piece
        except SourceError:
            whole = False
        finally:
            await client.aclose()
        return Fetched(status, body, whole)


@asynccontextmanager
async def open_mirror(node: Node) -> AsyncIterator[Mirror]:
    listeners = await open_listeners(TcpAddress("127.0.0.1", 0))
    handler = registry_handler(node.images, UpstreamRules(frozenset({REGISTRY}), REGISTRY))

    async def serve(task_status: trio.TaskStatus[object]) -> None:
        await serve_http(handler, listeners, on_failure=failure_response, task_status=task_status)

    async with trio.open_nursery() as nursery:
        await nursery.start(serve)
        yield Mirror(bound_port(listeners[0]))
        nursery.cancel_scope.cancel()
