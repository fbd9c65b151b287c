"""Blobs over a real socket while their download runs, at a pace that the test sets."""

import email
import os
import re
from collections.abc import AsyncIterator, Iterator

import pytest
import trio
import trio.testing

from agent.content.digest import Digest
from agent.content.errors import ContentError, NotFound, SourceError
from registry_proxy.app import registry_handler
from registry_proxy.blobs import FIRST_BYTE_SECONDS
from registry_proxy.upstreams import UpstreamRules
from tests.fakes.http_peer import HttpPeer, Serving, serving
from tests.fakes.images_service import FakeDownload, FakeImages

MIB = 1024 * 1024
CONTENT = os.urandom(3 * MIB)


@pytest.fixture
def images() -> Iterator[FakeImages]:
    service = FakeImages()
    yield service
    service.close()


@pytest.fixture
async def running(images: FakeImages) -> AsyncIterator[Serving]:
    async with serving(registry_handler(images, UpstreamRules(frozenset({"docker.io"})))) as server:
        yield server


@pytest.fixture
async def client(running: Serving) -> HttpPeer:
    return await running.connect()


def path_of(download: FakeDownload) -> str:
    return f"/v2/library/alpine/blobs/{download.digest}?ns=docker.io"


async def readers_gone(download: FakeDownload) -> None:
    while download.readers:
        await trio.testing.wait_all_tasks_blocked(0.001)


@pytest.mark.parametrize("size", [0, 1, 1024, 100_000, 3 * MIB])
async def test_a_stored_blob_is_served_as_it_is(client: HttpPeer, images: FakeImages, size: int) -> None:
    blob = images.put_blob(CONTENT[:size])
    answer = await client.get(path_of(blob), "Accept-Encoding: zstd, gzip, deflate")
    head = await client.get(path_of(blob), method="HEAD")
    assert (answer.status, answer.body) == (200, CONTENT[:size])
    assert (head.status, head.body) == (200, b"")
    for received in (answer, head):
        assert received.header("content-length") == str(size)
        assert received.header("content-type") == "application/octet-stream"
        assert received.header("docker-content-digest") == str(blob.digest)
        assert received.header("accept-ranges") == "bytes"
        assert received.header("etag") == f'"{blob.digest}"'
        assert received.header("content-encoding") is None
    await readers_gone(blob)


async def test_the_first_bytes_of_a_cold_blob_leave_as_soon_as_they_are_there(
    client: HttpPeer, images: FakeImages
) -> None:
    blob = images.put_blob(CONTENT, readable=0)
    await client.send_request(path_of(blob))
    await trio.testing.wait_all_tasks_blocked(0.005)
    blob.grow(1000)
    assert "200 OK" in await client.receive_head()
    assert await client.receive_exactly(1000) == CONTENT[:1000]
    blob.grow(2 * MIB)
    assert await client.receive_exactly(2 * MIB - 1000) == CONTENT[1000 : 2 * MIB]
    blob.grow(3 * MIB)
    assert await client.receive_exactly(MIB) == CONTENT[2 * MIB :]
    await readers_gone(blob)


async def test_the_head_leaves_in_time_for_clients_that_give_up_on_silent_mirrors(
    images: FakeImages, running: Serving, autojump_clock: trio.testing.MockClock
) -> None:
    client = running.memory.connect()
    blob = images.put_blob(CONTENT, readable=0)
    await client.send_request(path_of(blob))
    began = trio.current_time()
    assert f"Content-Length: {3 * MIB}" in await client.receive_head()
    assert trio.current_time() - began == FIRST_BYTE_SECONDS < 30
    blob.grow(3 * MIB)
    assert await client.receive_exactly(3 * MIB) == CONTENT


async def test_a_range_of_a_growing_blob_leaves_before_the_rest_is_there(
    client: HttpPeer, images: FakeImages
) -> None:
    blob = images.put_blob(CONTENT, readable=MIB)
    answer = await client.get(path_of(blob), "Range: bytes=1000-1999")
    assert (answer.status, answer.body) == (206, CONTENT[1000:2000])
    assert answer.header("content-range") == f"bytes 1000-1999/{3 * MIB}"
    assert answer.header("content-length") == "1000"
    await client.send_request(path_of(blob), f"Range: bytes={MIB - 10}-{MIB + 9}")
    assert "206" in await client.receive_head()
    assert await client.receive_exactly(10) == CONTENT[MIB - 10 : MIB]
    blob.grow(MIB + 5)
    blob.grow(MIB + 50)
    assert await client.receive_exactly(10) == CONTENT[MIB : MIB + 10]


async def test_an_interrupted_pull_goes_on_where_it_was(client: HttpPeer, images: FakeImages) -> None:
    blob = images.put_blob(CONTENT)
    answer = await client.get(path_of(blob), "Range: bytes=2000000-")
    assert (answer.status, answer.body) == (206, CONTENT[2_000_000:])
    assert answer.header("content-range") == f"bytes 2000000-{3 * MIB - 1}/{3 * MIB}"


async def test_a_suffix_range_is_the_end(client: HttpPeer, images: FakeImages) -> None:
    blob = images.put_blob(CONTENT)
    answer = await client.get(path_of(blob), "Range: bytes=-7")
    assert (answer.status, answer.body) == (206, CONTENT[-7:])


@pytest.mark.parametrize("asked", ["500-0", f"{3 * MIB}-", "-0", "99999999999999999999999-"])
async def test_a_range_that_cannot_be_is_416_with_the_size(
    client: HttpPeer, images: FakeImages, asked: str
) -> None:
    blob = images.put_blob(CONTENT)
    answer = await client.get(path_of(blob), f"Range: bytes={asked}")
    assert (answer.status, answer.body) == (416, b"")
    assert answer.header("content-range") == f"bytes */{3 * MIB}"
    assert (await client.get("/v2/")).status == 200
    await readers_gone(blob)


@pytest.mark.parametrize(
    "fields", [["Range: lines=1-2"], ["Range: bytes=x"], ["Range: bytes=0-1", "Range: bytes=2-3"]]
)
async def test_a_range_that_is_not_understood_gets_the_whole(
    client: HttpPeer, images: FakeImages, fields: list[str]
) -> None:
    blob = images.put_blob(CONTENT[:5000])
    answer = await client.get(path_of(blob), *fields)
    assert (answer.status, answer.body) == (200, CONTENT[:5000])


async def test_a_head_ignores_ranges(client: HttpPeer, images: FakeImages) -> None:
    blob = images.put_blob(CONTENT[:5000])
    answer = await client.get(path_of(blob), "Range: bytes=0-1", method="HEAD")
    assert (answer.status, answer.header("content-length")) == (200, "5000")


async def test_if_range_guards_against_other_content(client: HttpPeer, images: FakeImages) -> None:
    blob = images.put_blob(CONTENT[:5000])
    for condition, status in [
        (f'"{blob.digest}"', 206),
        ('"other"', 200),
        ("Mon, 01 Jan 2024 00:00:00 GMT", 200),
    ]:
        answer = await client.get(path_of(blob), "Range: bytes=0-1", f"If-Range: {condition}")
        assert answer.status == status


async def test_several_ranges_come_as_multipart_from_a_growing_blob(
    client: HttpPeer, images: FakeImages
) -> None:
    blob = images.put_blob(CONTENT, readable=MIB)
    await client.send_request(path_of(blob), f"Range: bytes=0-99,5000-5009,{2 * MIB}-{2 * MIB + 9}")
    await trio.testing.wait_all_tasks_blocked(0.005)
    blob.grow(3 * MIB)
    answer = await client.receive()
    assert answer.status == 206
    assert answer.header("content-range") is None
    content_type = answer.header("content-type") or ""
    assert re.fullmatch(r"multipart/byteranges; boundary=[a-z0-9-]{1,70}", content_type)
    boundary = content_type.partition("boundary=")[2].encode()
    first, *parts, last = answer.body.split(b"\r\n--" + boundary)
    assert (first, last) == (b"", b"--\r\n")
    expected = [(0, 100), (5000, 5010), (2 * MIB, 2 * MIB + 10)]
    assert len(parts) == len(expected)
    for part, (start, stop) in zip(parts, expected, strict=True):
        head, _, body = part.lstrip(b"\r\n").partition(b"\r\n\r\n")
        fields = email.message_from_bytes(head)
        assert fields["Content-Range"] == f"bytes {start}-{stop - 1}/{3 * MIB}"
        assert fields["Content-Type"] == "application/octet-stream"
        assert body == CONTENT[start:stop]


async def test_two_clients_read_one_download_at_their_own_pace(
    client: HttpPeer, running: Serving, images: FakeImages
) -> None:
    other = await running.connect()
    blob = images.put_blob(CONTENT, readable=0)
    for peer in (client, other):
        await peer.send_request(path_of(blob))
    blob.grow(MIB)
    await client.receive_head()
    assert await client.receive_exactly(MIB) == CONTENT[:MIB]
    blob.grow(3 * MIB)
    assert (await other.receive()).body == CONTENT
    assert await client.receive_exactly(2 * MIB) == CONTENT[MIB:]
    await readers_gone(blob)
    assert blob.opens == 2


async def test_a_client_that_hangs_up_leaves_nothing_behind_and_the_other_goes_on(
    client: HttpPeer, running: Serving, images: FakeImages
) -> None:
    blob = images.put_blob(CONTENT, readable=1000)
    await client.get("/v2/")
    descriptors = len(os.listdir("/proc/self/fd"))
    leaving = [await running.connect() for _ in range(3)]
    for peer in (client, *leaving):
        await peer.send_request(path_of(blob))
        await peer.receive_head()
    assert blob.readers == 4
    for peer in leaving:
        await peer.stream.aclose()
    while blob.readers > 1 or running.server.connection_count > 1:
        await trio.testing.wait_all_tasks_blocked(0.001)
    assert len(os.listdir("/proc/self/fd")) == descriptors
    blob.grow(3 * MIB)
    assert await client.receive_exactly(3 * MIB) == CONTENT


async def test_a_client_that_leaves_before_the_first_byte_leaves_nothing(
    running: Serving, images: FakeImages
) -> None:
    blob = images.put_blob(CONTENT, readable=0)
    client = await running.connect()
    await client.send_request(path_of(blob))
    while not blob.readers:
        await trio.testing.wait_all_tasks_blocked(0.001)
    await client.stream.aclose()
    await readers_gone(blob)


async def test_a_download_that_fails_before_the_first_byte_is_an_honest_error(
    client: HttpPeer, images: FakeImages
) -> None:
    blob = images.put_blob(CONTENT, readable=0)
    await client.send_request(path_of(blob))
    await trio.testing.wait_all_tasks_blocked(0.005)
    blob.fail(NotFound("the registry has no such blob"))
    answer = await client.receive()
    assert answer.status == 404
    assert b"BLOB_UNKNOWN" in answer.body
    await readers_gone(blob)


@pytest.mark.parametrize("failure", [SourceError("gone"), ContentError("wrong bytes")])
async def test_a_download_that_fails_midway_breaks_the_connection_and_sends_no_other_byte(
    client: HttpPeer, images: FakeImages, failure: SourceError
) -> None:
    blob = images.put_blob(CONTENT, readable=MIB)
    await client.send_request(path_of(blob))
    await client.receive_head()
    assert await client.receive_exactly(MIB) == CONTENT[:MIB]
    blob.fail(failure)
    with pytest.raises(trio.BrokenResourceError):
        await client.receive_rest()
    await readers_gone(blob)


async def test_an_unknown_blob_is_blob_unknown(client: HttpPeer) -> None:
    answer = await client.get(f"/v2/library/alpine/blobs/{Digest.of(b'none')}")
    assert answer.status == 404
    assert b"BLOB_UNKNOWN" in answer.body


async def test_a_blob_that_the_client_has_is_304(client: HttpPeer, images: FakeImages) -> None:
    blob = images.put_blob(CONTENT[:5000])
    answer = await client.get(path_of(blob), f'If-None-Match: "{blob.digest}"')
    assert (answer.status, answer.body, blob.opens) == (304, b"", 0)
