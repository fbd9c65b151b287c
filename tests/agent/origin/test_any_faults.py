"""Whatever a registry does in whatever order: right bytes from the reader's start on, or an error of ours."""

import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.content.errors import ShoalError
from agent.origin.origin import open_origin
from tests.agent.origin.reading import app, options, receive, upstreams_of
from tests.fakes.upstream import Fault, open_upstream

SIZE = 700_000
CONTENT = bytes(n * 31 % 251 for n in range(SIZE))
OFFSETS = st.integers(0, SIZE)

FAULTS = st.one_of(
    st.builds(Fault, cut_after_bytes=OFFSETS),
    st.builds(Fault, chunked=st.just(True), cut_after_bytes=OFFSETS),
    st.builds(Fault, stall_after_bytes=OFFSETS),
    st.builds(Fault, status=st.sampled_from([400, 403, 404, 416, 418, 429, 500, 502, 503, 504])),
    st.builds(Fault, ignore_range=st.just(True), cut_after_bytes=st.none() | OFFSETS),
    st.builds(Fault, range_limit_bytes=st.integers(1, SIZE)),
    st.builds(Fault, short_by_bytes=st.integers(1, SIZE)),
    st.builds(
        Fault,
        content_range=st.sampled_from(["bytes 0-9/700000", "bytes 5-9/10", "nonsense", "bytes */700000"]),
    ),
    st.builds(Fault, endless=st.just(True)),
    st.builds(Fault, empty=st.just(True)),
    st.builds(Fault, without_headers=st.just(("content-range",))),
)


async def read_with(
    faults: list[Fault], start: int, stop: int | None, knows_size: bool, redirects: bool
) -> None:
    async with open_upstream(redirects_blobs=redirects) as upstream:
        digest = upstream.shelf.add_blob(CONTENT)
        for fault in faults:
            upstream.faults.add(fault, times=1, server="cdn" if redirects else "registry")
        received = b""
        async with open_origin(upstreams_of(upstream), None, options()) as origin:
            size = SIZE if knows_size else None
            try:
                async with origin.open_content(
                    app(upstream), digest, start=start, stop=stop, size=size
                ) as reader:
                    assert reader.start in (0, start)
                    while piece := await receive(reader):
                        received += piece
                        assert CONTENT[reader.start : stop].startswith(received)
                    assert received == CONTENT[reader.start : stop]
            except ShoalError:
                pass


@settings(max_examples=30, deadline=None)
@given(st.lists(FAULTS, max_size=6), OFFSETS, st.none() | OFFSETS, st.booleans(), st.booleans())
def test_the_reader_gives_right_bytes_or_an_error(
    faults: list[Fault], start: int, stop: int | None, knows_size: bool, redirects: bool
) -> None:
    if stop is not None and stop < start:
        start, stop = stop, start
    if not knows_size:
        # nobody could tell these from the real content, but for the digest, which the caller checks
        faults = [fault for fault in faults if not (fault.short_by_bytes or fault.endless)]
    clock = trio.testing.MockClock(autojump_threshold=0.005)
    trio.run(read_with, faults, start, stop, knows_size, redirects, clock=clock)
