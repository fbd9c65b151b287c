"""Range headers: what RFC 9110 says of them, and that nothing ever reaches outside of the blob."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_proxy.ranges import (
    MAX_RANGES,
    ByteRange,
    Partial,
    Selection,
    Unsatisfiable,
    Whole,
    select_ranges,
)


def partial(*ranges: tuple[int, int]) -> Partial:
    return Partial(tuple(ByteRange(*r) for r in ranges))


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, Whole()),
        ("bytes=0-0", partial((0, 1))),
        ("bytes=0-99", partial((0, 100))),
        ("bytes=0-", partial((0, 100))),
        ("bytes=90-1000", partial((90, 100))),
        ("bytes=99-", partial((99, 100))),
        ("bytes=-5", partial((95, 100))),
        ("bytes=-500", partial((0, 100))),
        ("Bytes=5-6", partial((5, 7))),
        ("bytes=000005-0000006", partial((5, 7))),
        ("bytes= 1-2 , 4-5", partial((1, 3), (4, 6))),
        ("bytes=1-2,,4-5,", partial((1, 3), (4, 6))),
        ("bytes=50-59,0-9", partial((50, 60), (0, 10))),
        ("bytes=0-9,200-300", partial((0, 10))),
        ("bytes=0-9,-0", partial((0, 10))),
        ("bytes=0-9,5-2", partial((0, 10))),
        ("bytes=100-", Unsatisfiable()),
        ("bytes=100-200", Unsatisfiable()),
        ("bytes=500-0", Unsatisfiable()),
        ("bytes=5-2", Unsatisfiable()),
        ("bytes=-0", Unsatisfiable()),
        ("bytes=" + "9" * 5000 + "-", Unsatisfiable()),
        ("bytes=0-" + "9" * 5000, partial((0, 100))),
        ("bytes=-" + "9" * 5000, partial((0, 100))),
        ("", Whole()),
        ("bytes", Whole()),
        ("bytes=", Whole()),
        ("bytes=-", Whole()),
        ("bytes=,", Whole()),
        ("bytes=a-b", Whole()),
        ("bytes=1-2,x", Whole()),
        ("bytes=1-2-3", Whole()),
        ("bytes=+1-2", Whole()),
        ("bytes=1 - 2", Whole()),
        ("bytes=٣-٤", Whole()),
        ("bytes 0-5", Whole()),
        ("items=0-5", Whole()),
        ("bytes=0-60,20-99", Whole()),
        ("bytes=" + ",".join(["0-1"] * 4), Whole()),
        ("bytes=" + ",".join(["5-5"] * (MAX_RANGES + 1)), Whole()),
    ],
)
def test_a_range_header_of_a_hundred_bytes(header: str | None, expected: Selection) -> None:
    assert select_ranges(header, 100) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [("bytes=0-", Unsatisfiable()), ("bytes=0-0", Unsatisfiable()), ("bytes=-5", Whole())],
)
def test_a_range_of_an_empty_blob(header: str, expected: Selection) -> None:
    assert select_ranges(header, 0) == expected


def test_as_many_ranges_as_podman_asks_for_are_served() -> None:
    header = "bytes=" + ",".join(f"{n * 10}-{n * 10 + 4}" for n in range(MAX_RANGES))
    selection = select_ranges(header, 100_000)
    assert isinstance(selection, Partial)
    assert len(selection.ranges) == MAX_RANGES


_NUMBERS = st.integers(0, 300).map(str) | st.just("")
_SPECS = st.tuples(_NUMBERS, _NUMBERS).map("-".join)
_HEADERS = (
    st.text()
    | st.lists(st.tuples(_NUMBERS, _NUMBERS).map("-".join), min_size=1, max_size=6).map(
        lambda s: "bytes=" + ",".join(s)
    )
    | st.text("0123456789-,= bytes").map("bytes=".__add__)
)


@given(_HEADERS, st.integers(0, 200))
def test_whatever_is_selected_is_inside_the_blob_and_never_more_than_all_of_it(
    header: str, size: int
) -> None:
    selection = select_ranges(header, size)
    if isinstance(selection, Partial):
        assert selection.ranges
        assert all(0 <= r.start < r.stop <= size for r in selection.ranges)
        assert sum(r.length for r in selection.ranges) <= size


@given(st.integers(1, 10**6), st.data())
def test_a_satisfiable_single_range_gives_exactly_its_bytes(size: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, size - 1))
    last = data.draw(st.integers(first, 2 * size))
    assert select_ranges(f"bytes={first}-{last}", size) == partial((first, min(last + 1, size)))


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_start_at_or_past_the_end_is_unsatisfiable(size: int, past: int) -> None:
    assert select_ranges(f"bytes={size + past}-", size) == Unsatisfiable()
