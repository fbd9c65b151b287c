"""The tracker over HTTP, on real sockets."""

import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from agent.content.digest import Digest
from agent.content.errors import TrackerError
from agent.http.client import Answer, HttpClient
from agent.http.headers import Headers
from agent.http.listeners import bound_port, open_listeners
from agent.http.request import BodyTooLarge, Request
from agent.settings.address import Address, TcpAddress, UnixAddress
from agent.telemetry.tracker_metrics import TrackerMetrics
from agent.wire.tracker_calls import (
    ANNOUNCE,
    ANNOUNCE_ANSWER,
    MAX_CALL_BYTES,
    RESOLVE,
    RESOLVE_ANSWER,
    RESOLVED,
    Announce,
    Resolve,
    ResolveAnswer,
    Resolved,
    TagRecord,
    decode_call,
    encode_call,
)
from tests.tracker.nodes import CLUSTER, REGISTRY, FakeNode, node_id
from tracker.handler import tracker_handler
from tracker.server import new_tracker, run_tracker


class LocalNode(FakeNode):
    @property
    def address(self) -> str:
        return "127.0.0.1:7070"


class Client:
    def __init__(self, http: HttpClient) -> None:
        self._http = http

    async def call(self, method: str, target: str, body: bytes = b"") -> Answer:
        return await self._http.request(method, target, (), body, limit_bytes=1 << 20, deadline_seconds=5)

    async def resolve(self, number: int) -> ResolveAnswer:
        call = Resolve(CLUSTER, node_id(number), REGISTRY, "library/fish", "latest", 60.0)
        answer = await self.call("POST", "/v1/resolve", encode_call(RESOLVE, call))
        return decode_call(RESOLVE_ANSWER, answer.body)


@asynccontextmanager
async def running(address: Address) -> AsyncIterator[Client]:
    listeners = await open_listeners(address)

    async def connect() -> trio.abc.Stream:
        if isinstance(address, UnixAddress):
            return await trio.open_unix_socket(address.path)
        return await trio.open_tcp_stream("127.0.0.1", bound_port(listeners[0]))

    http = HttpClient(connect, host="tracker", failure=TrackerError)
    async with trio.open_nursery() as nursery:
        tracker = new_tracker(CLUSTER)
        await nursery.start(run_tracker, listeners, tracker, TrackerMetrics())
        yield Client(http)
        await http.aclose()
        nursery.cancel_scope.cancel()


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with running(TcpAddress("127.0.0.1", 0)) as client:
        yield client


async def test_an_announce_is_answered_with_a_lease(client: Client) -> None:
    answer = await client.call("POST", "/v1/announce", encode_call(ANNOUNCE, LocalNode(1).announce()))
    assert answer.status == 200
    told = decode_call(ANNOUNCE_ANSWER, answer.body)
    assert told.nodes == 1
    assert told.swarms[0].leases[0].start == 0


async def test_a_tag_is_resolved_by_one_and_told_to_another(client: Client) -> None:
    assert (await client.resolve(1)).lease
    assert not (await client.resolve(2)).lease
    record = TagRecord(Digest.of(b"manifest"), 8, "application/x", 0.0)
    call = Resolved(CLUSTER, node_id(1), REGISTRY, "library/fish", "latest", record)
    assert (await client.call("POST", "/v1/resolved", encode_call(RESOLVED, call))).status == 204
    told = (await client.resolve(2)).record
    assert told is not None
    assert told.digest == record.digest


async def test_over_a_unix_socket_callers_are_of_this_machine(tmp_path: Path) -> None:
    async with running(UnixAddress(tmp_path / "tracker.sock")) as client:
        answer = await client.call("POST", "/v1/announce", encode_call(ANNOUNCE, LocalNode(1).announce()))
        assert answer.status == 200


@pytest.mark.parametrize("body", [b"", b"\xc1", b"\x93\x01\x02\x03", b"{}", b"\x81\xa1a\x01"])
@pytest.mark.parametrize("target", ["/v1/announce", "/v1/resolve", "/v1/resolved"])
async def test_a_malformed_call_is_a_clear_400(client: Client, target: str, body: bytes) -> None:
    answer = await client.call("POST", target, body)
    assert answer.status == 400
    assert answer.body.startswith(b"malformed call")


async def test_a_call_of_another_cluster_is_refused_with_the_name_of_this_one(client: Client) -> None:
    call = Announce("pond", node_id(1), "n", "127.0.0.1:1", "", "", True, ())
    answer = await client.call("POST", "/v1/announce", encode_call(ANNOUNCE, call))
    assert answer.status == 400
    assert b"reef" in answer.body


async def test_a_body_over_the_cap_is_refused_unread() -> None:
    async def receive_body() -> bytes:
        raise AssertionError("read")

    handler = tracker_handler(new_tracker(CLUSTER), TrackerMetrics(), trio.current_time)
    headers = Headers.of([("Content-Length", str(MAX_CALL_BYTES + 1))])
    with pytest.raises(BodyTooLarge):
        await handler(Request("POST", "/v1/announce", headers, receive_body))


async def test_unknown_paths_and_wrong_methods_are_told_apart(client: Client) -> None:
    assert (await client.call("GET", "/v2/")).status == 404
    wrong = await client.call("GET", "/v1/announce")
    assert wrong.status == 405
    assert wrong.headers.get("allow") == "POST"


async def test_health_status_and_metrics_are_told(client: Client) -> None:
    await client.call("POST", "/v1/announce", encode_call(ANNOUNCE, LocalNode(1).announce()))
    assert (await client.call("GET", "/healthz")).body == b"ok\n"
    status = json.loads((await client.call("GET", "/status")).body)
    assert status["totals"]["nodes"] == 1
    page = (await client.call("GET", "/metrics")).body.decode()
    assert "shoal_tracker_nodes 1.0" in page
    assert 'shoal_tracker_leases_total{event="granted"} 1.0' in page
    assert "shoal_tracker_announces_total 1.0" in page


async def test_a_silent_node_is_lost_by_the_clock_and_each_change_is_a_log_line(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "shoal.tracker")
    tracker = new_tracker(CLUSTER)
    async with trio.open_nursery() as nursery:
        listeners = await open_listeners(TcpAddress("127.0.0.1", 0))
        await nursery.start(run_tracker, listeners, tracker, TrackerMetrics())
        FakeNode(1).call(tracker, trio.current_time())
        await trio.sleep(7)
        nursery.cancel_scope.cancel()
    assert tracker.directory.nodes == {}
    assert [record.getMessage() for record in caplog.records] == ["node joined", "lease expired", "node lost"]
