"""A client that leaves: its handler is cancelled, and nothing of it stays behind."""

import os
import tempfile
from contextlib import AsyncExitStack

import pytest
import trio
import trio.testing

from agent.http.limits import HttpLimits
from agent.http.request import Request
from agent.http.response import BodySink, Response
from tests.fakes.http_peer import serving


class WaitingHandler:
    """Waits forever, and tells what happens to it."""

    def __init__(self) -> None:
        self.began = trio.Event()
        self.cancelled = trio.Event()

    async def __call__(self, request: Request) -> Response:
        self.began.set()
        try:
            await trio.sleep_forever()
        finally:
            self.cancelled.set()
        raise AssertionError


class EndlessBody:
    length = None

    def __init__(self) -> None:
        self.sent = 0

    async def send_to(self, sink: BodySink) -> None:
        while True:
            await sink.send(bytes(100_000))
            self.sent += 100_000


@pytest.mark.parametrize("over_socket", [True, False])
async def test_a_client_that_hangs_up_cancels_its_waiting_handler(over_socket: bool) -> None:
    handler = WaitingHandler()
    async with serving(handler) as running:
        client = await running.connect() if over_socket else running.memory.connect()
        await client.send_request("/")
        await handler.began.wait()
        await client.stream.aclose()
        await handler.cancelled.wait()
        while running.server.connection_count:
            await trio.testing.wait_all_tasks_blocked(0.001)


async def test_what_a_client_sends_early_is_kept_for_its_turn_and_does_not_hide_its_hang_up() -> None:
    handler = WaitingHandler()
    async with serving(handler) as running:
        client = await running.connect()
        await client.send_request("/first")
        await client.send_request("/second")
        await handler.began.wait()
        await client.stream.aclose()
        await handler.cancelled.wait()


async def test_a_hang_up_in_the_middle_of_a_body_closes_what_the_body_held() -> None:
    closed = trio.Event()
    done: list[int] = []
    body = EndlessBody()

    async def handle(request: Request) -> Response:
        resources = AsyncExitStack()
        resources.callback(closed.set)
        return Response(200, [], body, resources=resources, on_done=done.append)

    async with serving(handle) as running:
        client = await running.connect()
        await client.send_request("/")
        await client.receive_exactly(250_000)
        await client.stream.aclose()
        await closed.wait()
        assert len(done) == 1
        assert done[0] == body.sent


class LargeFileBody:
    length = 100_000_000

    async def send_to(self, sink: BodySink) -> None:
        with tempfile.TemporaryFile() as file:
            file.truncate(self.length)
            await sink.send_file(file.fileno(), 0, self.length)


async def test_a_hang_up_in_the_middle_of_a_file_counts_what_had_left() -> None:
    over = trio.Event()
    done: list[int] = []

    async def handle(request: Request) -> Response:
        resources = AsyncExitStack()
        resources.callback(over.set)
        return Response(200, [], LargeFileBody(), resources=resources, on_done=done.append)

    async with serving(handle) as running:
        client = await running.connect()
        await client.send_request("/")
        await client.receive_exactly(250_000)
        await client.stream.aclose()
        await over.wait()
    assert 249_000 < done[0] < LargeFileBody.length


async def test_resources_are_closed_and_bytes_counted_after_a_whole_answer_and_a_head() -> None:
    seen: list[str | int] = []

    async def handle(request: Request) -> Response:
        resources = AsyncExitStack()
        resources.callback(seen.append, "closed")
        return Response(200, [("Content-Length", "3")], b"abc", resources=resources, on_done=seen.append)

    async with serving(handle) as running:
        client = await running.connect()
        await client.get("/")
        await client.get("/", method="HEAD")
        await client.get("/")
    assert seen == ["closed", 3, "closed", 0, "closed", 3]


async def test_many_clients_that_come_and_leave_leave_no_descriptor_behind() -> None:
    handler = WaitingHandler()
    async with serving(handler) as running:
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(20):
            clients = [await running.connect() for _ in range(5)]
            for client in clients:
                await client.send_request("/")
            for client in clients:
                await client.stream.aclose()
        while running.server.connection_count:
            await trio.testing.wait_all_tasks_blocked(0.001)
        assert len(os.listdir("/proc/self/fd")) == before


async def test_a_client_that_accepts_nothing_is_dropped_after_the_write_deadline(
    autojump_clock: trio.testing.MockClock,
) -> None:
    closed = trio.Event()

    async def handle(request: Request) -> Response:
        resources = AsyncExitStack()
        resources.callback(closed.set)
        return Response(200, [], EndlessBody(), resources=resources)

    async with serving(handle, HttpLimits(write_seconds=60)) as running:
        client = running.memory.connect(lockstep=True)
        await client.send_request("/")
        began = trio.current_time()
        await closed.wait()
        assert 60 <= trio.current_time() - began < 61
