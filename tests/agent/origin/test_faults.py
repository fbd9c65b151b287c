"""Every way in which a registry fails gives the right bytes or the right error, never a wrong byte."""

import pytest

from agent.content.digest import Digest
from agent.content.errors import ContentError, ShoalError, SourceError, Throttled
from agent.origin.origin import open_origin
from tests.agent.origin.reading import app, options, read_all, receive, upstreams_of
from tests.fakes.upstream import FakeUpstream, Fault, open_upstream

LAYER = b"".join(Digest.of(bytes([n % 256, n // 256])).hex.encode() for n in range(16 * 1024))
SIZE = len(LAYER)


async def read(
    upstream: FakeUpstream,
    start: int = 0,
    stop: int | None = None,
    size: int | None = SIZE,
    data: bytes = LAYER,
) -> bytes:
    digest = upstream.shelf.add_blob(data)
    async with open_origin(upstreams_of(upstream), None, options()) as origin:
        return await read_all(origin, app(upstream), digest, start, stop, size)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(cut_after_bytes=300_000),
        Fault(cut_after_bytes=0),
        Fault(stall_after_bytes=300_000),
        Fault(stall_before_answer=True),
        Fault(status=500),
        Fault(status=502),
        Fault(status=504, cut_after_bytes=0),
        Fault(chunked=True, cut_after_bytes=500_000),
        Fault(bytes_per_second=2_000_000),
        Fault(short_by_bytes=10),
        Fault(empty=True),
    ],
)
@pytest.mark.parametrize(("start", "stop"), [(0, None), (1000, None), (1000, 900_000)])
async def test_what_fails_once_is_resumed_and_comes_out_right(
    autojump_clock: object, fault: Fault, start: int, stop: int | None
) -> None:
    async with open_upstream() as upstream:
        upstream.faults.add(fault, times=1)
        assert await read(upstream, start, stop) == LAYER[start:stop]


async def test_a_resume_asks_only_for_what_is_missing(autojump_clock: object) -> None:
    async with open_upstream() as upstream:
        upstream.faults.add(Fault(cut_after_bytes=300_000), times=2)
        assert await read(upstream, 0, 900_000) == LAYER[:900_000]
        assert [r.range for r in upstream.requests] == [
            "bytes=0-899999",
            "bytes=300000-899999",
            "bytes=600000-899999",
        ]
        assert upstream.bytes_sent() == 900_000


async def test_a_cut_every_so_often_is_no_reason_to_give_up_while_it_progresses(
    autojump_clock: object,
) -> None:
    async with open_upstream() as upstream:
        upstream.faults.add(Fault(cut_after_bytes=270_000))
        big = LAYER * 4
        assert await read(upstream, size=len(big), data=big) == big
        assert len(upstream.requests) == -(-len(big) // 270_000)


async def test_a_registry_that_drips_and_cuts_is_given_up(autojump_clock: object) -> None:
    async with open_upstream() as upstream:
        upstream.faults.add(Fault(cut_after_bytes=10))
        with pytest.raises(SourceError, match="broke off its answer"):
            await read(upstream)
        assert len(upstream.requests) == 4


async def test_a_cut_registry_without_ranges_is_read_again_from_the_start(autojump_clock: object) -> None:
    async with open_upstream() as upstream:
        upstream.supports_ranges = False
        upstream.faults.add(Fault(cut_after_bytes=300_000), times=1)
        upstream.faults.add(Fault(cut_after_bytes=500_000), times=1)
        assert await read(upstream) == LAYER
        assert len(upstream.requests) == 3


async def test_a_stall_without_end_is_an_error_that_says_so(autojump_clock: object) -> None:
    async with open_upstream() as upstream:
        upstream.faults.add(Fault(stall_after_bytes=0))
        with pytest.raises(SourceError, match="sent nothing for 10 s"):
            await read(upstream)


async def test_a_registry_that_never_answers_is_an_error(autojump_clock: object) -> None:
    async with open_upstream() as upstream:
        upstream.faults.add(Fault(stall_before_answer=True))
        with pytest.raises(SourceError, match="no answer in time"):
            await read(upstream)


@pytest.mark.parametrize("status", [500, 502, 504])
async def test_a_broken_registry_is_tried_a_few_times_within_seconds(
    autojump_clock: object, status: int
) -> None:
    async with open_upstream() as upstream, open_origin(upstreams_of(upstream), None, options()) as origin:
        upstream.faults.add(Fault(status=status))
        with pytest.raises(
            SourceError, match=f"{upstream.host} answered .*library/app:latest with status {status}"
        ):
            await origin.get_manifest(app(upstream), "latest")
        assert len(upstream.requests) == 4


@pytest.mark.parametrize("status", [429, 503])
async def test_a_registry_that_asks_for_patience_is_not_asked_again(
    autojump_clock: object, status: int
) -> None:
    async with open_upstream() as upstream, open_origin(upstreams_of(upstream), None, options()) as origin:
        upstream.faults.add(Fault(status=status, retry_after="17"))
        with pytest.raises(Throttled) as caught:
            await origin.head_manifest(app(upstream), "latest")
        assert caught.value.retry_after_seconds == 17
        with pytest.raises(Throttled):
            await read(upstream)
        assert len(upstream.requests) == 2


@pytest.mark.parametrize(
    "told", ["bytes 0-99/1048576", "bytes 1001-2000/1048576", "bytes x-y/z", "bytes 1000-1999/77"]
)
async def test_another_range_than_asked_for_is_not_used(autojump_clock: object, told: str) -> None:
    async with open_upstream() as upstream:
        upstream.faults.add(Fault(content_range=told))
        with pytest.raises(ShoalError, match=r"another range|which has 1048576"):
            await read(upstream, 1000, 2000)
    async with open_upstream() as upstream:
        upstream.faults.add(Fault(content_range=told), times=1)
        assert await read(upstream, 1000, 2000) == LAYER[1000:2000]


async def test_a_range_that_is_ignored_starts_at_zero(autojump_clock: object) -> None:
    async with open_upstream() as upstream:
        upstream.faults.add(Fault(ignore_range=True))
        assert await read(upstream, 1000, 2000) == LAYER[:2000]


@pytest.mark.parametrize("size", [SIZE - 1, SIZE + 1, 1])
async def test_another_size_than_the_descriptor_s_is_refused(autojump_clock: object, size: int) -> None:
    async with open_upstream() as upstream:
        with pytest.raises(ContentError, match=f"has {SIZE} bytes for .*, which has {size}"):
            await read(upstream, size=size)
        assert upstream.bytes_sent() < 4 * SIZE


@pytest.mark.parametrize(
    "fault", [Fault(empty=True), Fault(short_by_bytes=1), Fault(empty=True, chunked=True)], ids=str
)
async def test_an_empty_or_short_body_is_refused(autojump_clock: object, fault: Fault) -> None:
    async with open_upstream() as upstream:
        upstream.faults.add(fault)
        with pytest.raises(ContentError):
            await read(upstream)


async def test_an_empty_body_is_refused_where_the_size_is_not_known(autojump_clock: object) -> None:
    for fault in (Fault(empty=True), Fault(empty=True, chunked=True)):
        async with open_upstream() as upstream:
            upstream.faults.add(fault)
            with pytest.raises(ContentError, match="empty body"):
                await read(upstream, size=None)


async def test_an_endless_body_is_broken_off_after_its_size(autojump_clock: object) -> None:
    async with open_upstream() as upstream:
        upstream.faults.add(Fault(endless=True))
        digest = upstream.shelf.add_blob(LAYER)
        received = 0
        async with open_origin(upstreams_of(upstream), None, options()) as origin:
            with pytest.raises(ContentError, match="more bytes"):
                async with origin.open_content(app(upstream), digest, size=SIZE) as reader:
                    while part := await receive(reader):
                        received += len(part)
        assert received == SIZE


async def test_a_chunked_body_of_the_right_size_is_fine(autojump_clock: object) -> None:
    async with open_upstream() as upstream:
        upstream.faults.add(Fault(chunked=True))
        assert await read(upstream) == LAYER
        assert await read(upstream, size=None) == LAYER


async def test_a_content_coding_that_was_not_asked_for_is_refused(autojump_clock: object) -> None:
    async with open_upstream() as upstream:
        upstream.faults.add(Fault(headers={"content-encoding": "gzip"}))
        with pytest.raises(SourceError, match="content coding"):
            await read(upstream)
        assert upstream.requests[0].headers["accept-encoding"] == "identity"


async def test_an_expired_signed_url_is_asked_for_anew_at_the_registry(autojump_clock: object) -> None:
    async with open_upstream(redirects_blobs=True) as upstream:
        upstream.faults.add(Fault(cut_after_bytes=300_000), times=1, server="cdn")
        upstream.faults.add(Fault(status=403), times=1, server="cdn")
        assert await read(upstream) == LAYER
        assert [r.server for r in upstream.requests] == ["registry", "cdn"] * 3
        assert len({r.query for r in upstream.asked(server="cdn")}) == 3, "a signed URL is not used twice"


async def test_a_cdn_that_refuses_for_good_is_named_without_its_query(autojump_clock: object) -> None:
    async with open_upstream(redirects_blobs=True) as upstream:
        upstream.faults.add(Fault(status=403), server="cdn")
        with pytest.raises(SourceError) as caught:
            await read(upstream)
        assert upstream.cdn_url.partition("//")[2] in str(caught.value)
        assert "Signature" not in str(caught.value)


async def test_no_byte_of_wrong_content_is_hidden_from_the_digest(autojump_clock: object) -> None:
    """The reader passes bytes on as they are: whether they match the digest is checked by who keeps them."""
    async with open_upstream() as upstream:
        upstream.faults.add(Fault(wrong_bytes=True))
        assert Digest.of(await read(upstream)) != Digest.of(LAYER)


async def test_ranges_that_are_shorter_than_asked_for_are_put_together(autojump_clock: object) -> None:
    async with open_upstream() as upstream:
        upstream.faults.add(Fault(range_limit_bytes=300_000))
        assert await read(upstream, 1000, 900_000) == LAYER[1000:900_000]
        assert len(upstream.requests) == 3


async def test_a_registry_that_gives_a_few_bytes_of_a_range_at_a_time_is_given_up(
    autojump_clock: object,
) -> None:
    async with open_upstream() as upstream:
        upstream.faults.add(Fault(range_limit_bytes=5))
        with pytest.raises(ContentError, match="sends only 1020 of 2000 bytes"):
            await read(upstream, 1000, 2000)
        assert len(upstream.requests) == 4
