"""The client against a registry that works: manifests, content, ranges, redirects, rate limits."""

import logging

import pytest
import trio

from agent.content.digest import Digest
from agent.content.errors import ContentError, InputError, NotFound, SourceError
from agent.content.media_types import DOCKER_MANIFEST
from agent.content.reference import Repository
from agent.origin.origin import open_origin
from agent.origin.upstream import Upstream
from tests.agent.origin.reading import app, options, read_all, receive, upstreams_of
from tests.fakes.upstream import Fault, open_upstream

LAYER = bytes(range(256)) * 4096


async def test_a_tag_is_asked_with_head_and_its_manifest_fetched() -> None:
    async with open_upstream() as upstream, open_origin(upstreams_of(upstream)) as origin:
        image = upstream.add_image()
        told = await origin.head_manifest(app(upstream), "latest")
        fetched = await origin.get_manifest(app(upstream), str(told.digest))
        assert (told.digest, told.size, told.media_type, told.body) == (
            image.digest,
            len(image.body),
            DOCKER_MANIFEST,
            None,
        )
        assert fetched.body == image.body
        assert fetched.descriptor.digest == image.digest
        assert [record.method for record in upstream.requests] == ["HEAD", "GET"]
        assert upstream.requests[0].headers["user-agent"].startswith("shoal/")
        assert upstream.requests[0].client == upstream.requests[1].client, "one connection serves both"


async def test_a_registry_whose_head_tells_nothing_is_asked_with_get() -> None:
    async with open_upstream() as upstream, open_origin(upstreams_of(upstream)) as origin:
        image = upstream.add_image()
        upstream.tells_digest = False
        told = await origin.head_manifest(app(upstream), "latest")
        assert (told.digest, told.body) == (image.digest, image.body)
        upstream.supports_head = False
        told = await origin.head_manifest(app(upstream), "latest")
        assert (told.digest, told.body) == (image.digest, image.body)


async def test_a_blob_is_read_whole_or_in_part() -> None:
    async with open_upstream() as upstream, open_origin(upstreams_of(upstream)) as origin:
        image = upstream.add_image(layers=[LAYER])
        digest = image.layer_digests[0]
        assert await read_all(origin, app(upstream), digest) == LAYER
        assert await read_all(origin, app(upstream), digest, size=len(LAYER)) == LAYER
        assert await read_all(origin, app(upstream), digest, 1000, 5000, len(LAYER)) == LAYER[1000:5000]
        assert await read_all(origin, app(upstream), digest, 5000) == LAYER[5000:]
        assert await read_all(origin, app(upstream), digest, 0, 10) == LAYER[:10]
        assert await read_all(origin, app(upstream), digest, 7, 7) == b""
        assert [r.range for r in upstream.requests] == [
            None,
            None,
            "bytes=1000-4999",
            "bytes=5000-",
            "bytes=0-9",
        ]


async def test_an_empty_blob_is_empty() -> None:
    async with open_upstream() as upstream, open_origin(upstreams_of(upstream)) as origin:
        digest = upstream.shelf.add_blob(b"")
        assert await read_all(origin, app(upstream), digest) == b""
        assert await read_all(origin, app(upstream), digest, size=0) == b""


async def test_a_reader_tells_the_total_size_and_its_start() -> None:
    async with open_upstream() as upstream, open_origin(upstreams_of(upstream)) as origin:
        digest = upstream.shelf.add_blob(LAYER)
        async with origin.open_content(app(upstream), digest, start=10, stop=20) as reader:
            assert (reader.start, reader.total_size) == (10, len(LAYER))
        upstream.supports_ranges = False
        async with origin.open_content(app(upstream), digest, start=10, stop=20) as reader:
            assert (reader.start, reader.total_size) == (0, len(LAYER))
            assert await receive(reader) == LAYER[:20]
            assert await receive(reader) == b""


async def test_a_reader_left_early_leaves_nothing_behind() -> None:
    async with open_upstream() as upstream, open_origin(upstreams_of(upstream)) as origin:
        digest = upstream.shelf.add_blob(LAYER * 16)
        for _ in range(30):
            async with origin.open_content(app(upstream), digest) as reader:
                assert await receive(reader)
        async with origin.open_content(app(upstream), digest, stop=100) as reader:
            await receive(reader)


async def test_what_is_missing_is_not_found_and_named() -> None:
    async with open_upstream() as upstream, open_origin(upstreams_of(upstream)) as origin:
        upstream.add_image()
        with pytest.raises(NotFound, match=r"library/app:nothing does not exist on 127\.0\.0\.1"):
            await origin.head_manifest(app(upstream), "nothing")
        with pytest.raises(NotFound, match="MANIFEST_UNKNOWN"):
            await origin.get_manifest(app(upstream), "nothing")
        with pytest.raises(NotFound):
            await read_all(origin, app(upstream), Digest.of(b"nothing"))


async def test_nothing_that_is_no_tag_or_digest_reaches_a_url() -> None:
    async with open_upstream() as upstream, open_origin(upstreams_of(upstream)) as origin:
        for target in ("../../secret", "sha256:../..", "a/b", "", "x?y", "sha256:" + "A" * 64):
            with pytest.raises(InputError):
                await origin.get_manifest(app(upstream), target)
        assert upstream.requests == []


async def test_a_registry_that_is_not_configured_is_an_input_error() -> None:
    async with open_origin([]) as origin:
        with pytest.raises(InputError, match="not configured"):
            await origin.head_manifest(Repository.of("example.com", "app"), "latest")


async def test_another_manifest_for_a_pinned_digest_is_refused(autojump_clock: object) -> None:
    async with open_upstream() as upstream, open_origin(upstreams_of(upstream), None, options()) as origin:
        image = upstream.add_image()
        upstream.faults.add(Fault(wrong_bytes=True))
        with pytest.raises(ContentError, match="sends other bytes"):
            await origin.get_manifest(app(upstream), str(image.digest))


async def test_a_giant_manifest_is_refused_before_it_is_read(autojump_clock: object) -> None:
    async with open_upstream() as upstream, open_origin(upstreams_of(upstream), None, options()) as origin:
        upstream.shelf.put_manifest("library/app", "latest", b"x" * (4 * 1024 * 1024 + 1), DOCKER_MANIFEST)
        with pytest.raises(ContentError, match="larger than 4194304 bytes"):
            await origin.get_manifest(app(upstream), "latest")
        assert upstream.bytes_sent() <= 4 * 1024 * 1024
        upstream.faults.add(Fault(endless=True))
        with pytest.raises(ContentError, match="larger than"):
            await origin.get_manifest(app(upstream), "latest")


async def test_the_rate_limit_of_docker_hub_is_noted() -> None:
    async with open_upstream() as upstream, open_origin(upstreams_of(upstream)) as origin:
        upstream.add_image()
        upstream.headers = {"ratelimit-limit": "100;w=21600", "ratelimit-remaining": "76;w=21600"}
        await origin.head_manifest(app(upstream), "latest")
        limit = origin.rate_limits[upstream.host]
        assert (limit.remaining, limit.limit, limit.window_seconds) == (76, 100, 21600)


async def test_a_registry_that_cannot_be_reached_is_named(autojump_clock: object) -> None:
    async with open_upstream() as upstream:
        address = upstream.host
    async with open_origin([Upstream(address, f"http://{address}")], None, options()) as origin:
        with pytest.raises(SourceError, match=f"{address} cannot be reached: no connection"):
            await origin.head_manifest(Repository.of(address, "app"), "latest")


async def test_blobs_come_by_redirect_without_our_authorization(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with open_upstream(redirects_blobs=True) as upstream, open_origin(upstreams_of(upstream)) as origin:
        digest = upstream.shelf.add_blob(LAYER)
        assert await read_all(origin, app(upstream), digest) == LAYER
        assert await read_all(origin, app(upstream), digest, 5, 10) == LAYER[5:10]
        assert [record.range for record in upstream.asked(server="cdn")] == [None, "bytes=5-9"]
        assert "Signature" not in caplog.text


async def test_reads_that_are_cancelled_free_their_connections(autojump_clock: object) -> None:
    async with open_upstream() as upstream:
        digest = upstream.shelf.add_blob(LAYER)
        single = Upstream(upstream.host, upstream.url, max_connections=1)
        async with open_origin([single], None, options()) as origin:
            for seconds in (0.0, 0.05, 0.5, 1.0):
                upstream.faults.clear()
                upstream.faults.add(Fault(bytes_per_second=len(LAYER) / 2))
                with trio.move_on_after(seconds) as scope:
                    await read_all(origin, app(upstream), digest)
                assert scope.cancelled_caught
            upstream.faults.clear()
            assert await read_all(origin, app(upstream), digest) == LAYER


async def test_who_waits_for_a_connection_gets_one_in_turn(autojump_clock: object) -> None:
    async with open_upstream() as upstream:
        digest = upstream.shelf.add_blob(b"twelve bytes")
        upstream.faults.add(Fault(bytes_per_second=0.2))
        single = Upstream(upstream.host, upstream.url, max_connections=1)
        async with open_origin([single], None, options()) as origin, trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(read_all, origin, app(upstream), digest)
        assert trio.current_time() > 170, (
            "waiting longer than any deadline for our own transfers is no failure"
        )


async def test_a_head_that_drips_without_end_has_a_deadline(autojump_clock: object) -> None:
    async def drip(stream: trio.SocketStream) -> None:
        try:
            await stream.receive_some()
            await stream.send_all(b"HTTP/1.1 200 OK\r\nx: ")
            while True:
                await trio.sleep(5)
                await stream.send_all(b"y")
        except trio.BrokenResourceError:
            await stream.aclose()

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, drip, [listener])
        address = f"127.0.0.1:{listener.socket.getsockname()[1]}"
        async with open_origin([Upstream(address, f"http://{address}")], None, options()) as origin:
            with pytest.raises(SourceError, match="no answer in time"):
                await origin.get_manifest(Repository.of(address, "app"), "latest")
        nursery.cancel_scope.cancel()


async def test_a_registry_that_does_not_answer_is_not_asked_for_a_tag_again_and_again(
    autojump_clock: object,
) -> None:
    async with open_upstream() as upstream, open_origin(upstreams_of(upstream), None, options()) as origin:
        upstream.faults.add(Fault(stall_before_answer=True))
        started = trio.current_time()
        with pytest.raises(SourceError, match="no answer in time"):
            await origin.head_manifest(app(upstream), "latest")
        assert trio.current_time() - started < 30
        assert len(upstream.requests) == 1
