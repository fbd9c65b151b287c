"""Stopping a server: what is idle goes at once, what is being answered has the grace."""

import trio
import trio.testing

from agent.http.request import Request
from agent.http.response import Response
from agent.http.server import HttpServer, serve_http
from tests.fakes.http_peer import MemoryListener


class Gate:
    def __init__(self) -> None:
        self.opened = trio.Event()

    async def __call__(self, request: Request) -> Response:
        if request.path == "/wait":
            await self.opened.wait()
        return Response(200, [], b"done")


async def start(nursery: trio.Nursery, handler: Gate) -> tuple[HttpServer, MemoryListener, trio.Event]:
    listener = MemoryListener()
    ended = trio.Event()

    async def run(task_status: trio.TaskStatus[HttpServer]) -> None:
        await serve_http(handler, [listener], task_status=task_status)
        ended.set()

    return await nursery.start(run), listener, ended


async def test_a_stop_closes_idle_connections_and_lets_answers_end(
    autojump_clock: trio.testing.MockClock,
) -> None:
    gate = Gate()
    async with trio.open_nursery() as nursery:
        server, listener, ended = await start(nursery, gate)
        idle, busy = listener.connect(), listener.connect()
        await idle.get("/")
        await busy.send_request("/wait")
        await trio.testing.wait_all_tasks_blocked()
        began = trio.current_time()
        server.stop(30)
        assert await idle.is_closed()
        await trio.sleep(10)
        assert not ended.is_set()
        gate.opened.set()
        answer = await busy.receive()
        assert (answer.status, answer.body) == (200, b"done")
        assert await busy.is_closed()
        await busy.stream.aclose()
        await ended.wait()
        assert trio.current_time() - began < 15


async def test_an_answer_that_outlives_the_grace_is_cut(autojump_clock: trio.testing.MockClock) -> None:
    async with trio.open_nursery() as nursery:
        server, listener, ended = await start(nursery, Gate())
        busy = listener.connect()
        await busy.send_request("/wait")
        await trio.testing.wait_all_tasks_blocked()
        began = trio.current_time()
        server.stop(30)
        await ended.wait()
        assert trio.current_time() - began == 30
        assert await busy.is_closed()


async def test_a_stopped_server_without_connections_ends_at_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with trio.open_nursery() as nursery:
        server, _, ended = await start(nursery, Gate())
        began = trio.current_time()
        server.stop(30)
        await ended.wait()
        assert trio.current_time() == began
