"""Bodies of tracker calls: what is said is understood, and no body does more than raise Malformed."""

from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.content.digest import Digest
from agent.wire import tracker_calls as calls
from agent.wire.node_id import NodeId
from agent.wire.shape import Malformed, Shape
from agent.wire.tracker_calls import decode_call, encode_call
from tests.agent.wire.messages import CALLS, values

_NODE = NodeId(bytes(32))
_DIGEST = Digest("sha256", "ab" * 32)
each_call = st.sampled_from(sorted(CALLS)).map(lambda name: CALLS[name])


def decodes_or_is_malformed(shape: Shape[Any], body: bytes) -> None:
    try:
        decode_call(shape, body)
    except Malformed:
        return


@given(each_call, st.data())
def test_every_call_is_understood_as_it_was_meant(
    call: tuple[Shape[Any], st.SearchStrategy[Any]], data: st.DataObject
) -> None:
    shape, strategy = call
    value = data.draw(strategy)
    assert decode_call(shape, encode_call(shape, value)) == value


@given(each_call, st.data())
def test_a_truncated_call_is_malformed(
    call: tuple[Shape[Any], st.SearchStrategy[Any]], data: st.DataObject
) -> None:
    shape, strategy = call
    body = encode_call(shape, data.draw(strategy))
    with pytest.raises(Malformed):
        decode_call(shape, body[: data.draw(st.integers(0, len(body) - 1))])


@given(each_call, st.data())
def test_a_mutated_call_is_malformed_or_understood(
    call: tuple[Shape[Any], st.SearchStrategy[Any]], data: st.DataObject
) -> None:
    shape, strategy = call
    body = bytearray(encode_call(shape, data.draw(strategy)))
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    decodes_or_is_malformed(shape, bytes(body))


@given(each_call, st.lists(values, max_size=9) | values)
def test_any_value_is_malformed_or_understood(
    call: tuple[Shape[Any], st.SearchStrategy[Any]], value: object
) -> None:
    decodes_or_is_malformed(call[0], msgpack.packb(value))


@given(each_call, st.binary(max_size=200))
def test_random_bytes_are_malformed_or_understood(
    call: tuple[Shape[Any], st.SearchStrategy[Any]], body: bytes
) -> None:
    decodes_or_is_malformed(call[0], body)


@given(each_call, st.data(), st.lists(values, min_size=1, max_size=3))
def test_fields_of_a_newer_version_are_skipped(
    call: tuple[Shape[Any], st.SearchStrategy[Any]], data: st.DataObject, newer: list[object]
) -> None:
    shape, strategy = call
    value = data.draw(strategy)
    raw = msgpack.unpackb(encode_call(shape, value))
    assert decode_call(shape, msgpack.packb([*raw, *newer])) == value


def test_an_older_node_leaves_out_what_has_a_default() -> None:
    report = [str(_DIGEST), None]
    body = msgpack.packb(["cluster", _NODE, "n", "host:1", "", "", True, [report]])
    expected = calls.Announce(
        "cluster", _NODE, "n", "host:1", "", "", True, (calls.SwarmReport(_DIGEST, None),)
    )
    assert decode_call(calls.ANNOUNCE, body) == expected


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -1.0, 1e11, "1", True, None])
def test_times_are_finite_and_in_bounds(seconds: object) -> None:
    with pytest.raises(Malformed):
        decode_call(calls.RESOLVE, msgpack.packb(["c", _NODE, "r", "n", "t", seconds]))


def test_inlined_content_is_capped() -> None:
    answer = calls.SwarmAnswer(_DIGEST, None, 1, body=b"x" * (calls.MAX_INLINE_BYTES + 1))
    body = encode_call(calls.ANNOUNCE_ANSWER, calls.AnnounceAnswer(1.0, False, 1, (answer,)))
    with pytest.raises(Malformed):
        decode_call(calls.ANNOUNCE_ANSWER, body)


def test_the_claims_of_a_layer_of_a_hundred_gigabytes_fit_one_call() -> None:
    claims = tuple(calls.Claim(index, bytes(32)) for index in range(25_600))
    report = calls.SwarmReport(_DIGEST, 100 << 30, claims=claims)
    call = calls.Announce("c", _NODE, "n", "host:1", "", "", True, (report,))
    body = encode_call(calls.ANNOUNCE, call)
    assert len(body) < calls.MAX_CALL_BYTES
    assert decode_call(calls.ANNOUNCE, body) == call


def test_a_failure_of_any_length_can_be_reported() -> None:
    resolved = calls.Resolved("c", _NODE, "r", "n", "t", None, failure="line\n" * 1000)
    arrived = decode_call(calls.RESOLVED, encode_call(calls.RESOLVED, resolved))
    assert arrived.failure.startswith("line line")
    assert len(arrived.failure) == 500


def test_an_error_text_does_not_repeat_a_large_value() -> None:
    with pytest.raises(Malformed) as caught:
        decode_call(calls.RESOLVE, msgpack.packb(["c", _NODE, "r", "n", "t", ["x" * 100_000]]))
    assert len(str(caught.value)) < 200
