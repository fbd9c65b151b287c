"""Frames of the peer link: what is said is understood, and nothing that a peer sends does more than raise Malformed."""

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.content.digest import Digest
from agent.wire import peer_messages as wire
from agent.wire.node_id import NodeId
from agent.wire.peer_messages import LENGTH_BYTES, MAX_FRAME_BYTES, decode_body, encode_frame, frame_length
from agent.wire.shape import Malformed
from tests.agent.wire.messages import ALL_KINDS, messages, values

_DIGEST = Digest("sha256", "ab" * 32)


def body_of(message: wire.Message) -> bytes:
    return encode_frame(message)[LENGTH_BYTES:]


def decodes_or_is_malformed(body: bytes) -> None:
    """Any other exception fails the test."""
    try:
        message = decode_body(body)
    except Malformed:
        return
    assert message is None or isinstance(message, ALL_KINDS)


@given(messages)
def test_every_message_is_understood_as_it_was_meant(message: wire.Message) -> None:
    frame = encode_frame(message)
    assert frame_length(frame[:LENGTH_BYTES]) == len(frame) - LENGTH_BYTES
    assert decode_body(frame[LENGTH_BYTES:]) == message
    assert decode_body(memoryview(bytearray(frame))[LENGTH_BYTES:]) == message


@given(st.binary(max_size=300))
def test_random_bytes_are_malformed_or_a_message(body: bytes) -> None:
    decodes_or_is_malformed(body)


@given(st.integers(0, 20), st.lists(values, max_size=7))
def test_any_values_after_a_kind_are_malformed_or_a_message(kind: int, fields: list[object]) -> None:
    decodes_or_is_malformed(msgpack.packb([kind, *fields]))


@given(values)
def test_any_value_is_malformed_or_a_message(value: object) -> None:
    decodes_or_is_malformed(msgpack.packb(value))


@given(messages, st.data())
def test_a_truncated_frame_is_malformed(message: wire.Message, data: st.DataObject) -> None:
    body = body_of(message)
    cut = data.draw(st.integers(0, len(body) - 1))
    with pytest.raises(Malformed):
        decode_body(body[:cut])


@given(messages, st.data())
def test_a_mutated_frame_is_malformed_or_a_message(message: wire.Message, data: st.DataObject) -> None:
    body = bytearray(body_of(message))
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    decodes_or_is_malformed(bytes(body))


@given(messages, st.binary(min_size=1, max_size=5))
def test_bytes_after_the_message_are_malformed(message: wire.Message, extra: bytes) -> None:
    with pytest.raises(Malformed):
        decode_body(body_of(message) + extra)


@given(messages, st.lists(values, min_size=1, max_size=3))
def test_fields_of_a_newer_version_are_skipped(message: wire.Message, newer: list[object]) -> None:
    raw = msgpack.unpackb(body_of(message))
    assert decode_body(msgpack.packb([*raw, *newer])) == message


def test_missing_fields_at_the_end_take_their_defaults() -> None:
    assert decode_body(msgpack.packb([3, 1, [2], [], 3])) == wire.Want(1, (2,), (), 3, ())


@given(st.integers(len(ALL_KINDS), 1 << 60), st.lists(values, max_size=3))
def test_unknown_kinds_are_skipped(kind: int, fields: list[object]) -> None:
    assert decode_body(msgpack.packb([kind, *fields])) is None


@pytest.mark.parametrize("value", [[], [-1], ["0"], [0.0], [True], {}, None, 7, "hello", b"", [None]])
def test_a_frame_without_a_kind_is_malformed(value: object) -> None:
    with pytest.raises(Malformed):
        decode_body(msgpack.packb(value))


@pytest.mark.parametrize("length", [0, MAX_FRAME_BYTES + 1, (1 << 32) - 1])
def test_empty_and_oversized_frames_are_malformed_before_they_are_read(length: int) -> None:
    with pytest.raises(Malformed):
        frame_length(length.to_bytes(LENGTH_BYTES, "big"))


def test_values_nested_without_end_are_malformed() -> None:
    for depth in (100, 400, 600, 5000):
        with pytest.raises(Malformed):
            decode_body(b"\x92\x04" + b"\x91" * depth + b"\x00")
        with pytest.raises(Malformed):
            decode_body(b"\x92\x05" + b"\x91" * depth + b"\x00")


@pytest.mark.parametrize(
    "body",
    [
        b"\xdd\xff\xff\xff\xff",  # a list of 4 billion
        b"\x92\x02\xdd\xff\xff\xff\xff",
        b"\x92\x02\xc6\xff\xff\xff\xff",  # 4 GiB of bytes
        b"\xdf\xff\xff\xff\xff",
        b"\x92\x0c\xd9\x01\xff",  # not UTF-8
        b"\x92\x02\xd4\x01\x00",  # an extension
        b"\x92\x02\xd6\xff\x00\x00\x00\x00",  # a timestamp
        b"\x92\x02\xc7\x00\xff",  # an empty timestamp
        b"\x92\x02\x81\x80\x00",  # a map with a list for a key
    ],
)
def test_hostile_msgpack_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        decode_body(body)


# ---- sizes


def test_the_largest_interest_fits_a_frame() -> None:
    bitmap = b"\xff" * (48 * 1024)
    message = wire.Interest((1 << 32) - 1, Digest("sha512", "a" * 128), 1 << 53, bitmap, bitmap, 1000)
    assert decode_body(body_of(message)) == message


def test_the_longest_have_and_want_fit_a_frame() -> None:
    most = tuple(range(wire.MAX_CHUNKS - 8191, wire.MAX_CHUNKS + 1))
    for message in (wire.Have(1 << 32, most), wire.Want(1 << 32, most, most, 1000, most)):
        assert decode_body(body_of(message)) == message


def test_the_largest_gossip_fits_a_frame() -> None:
    known = tuple(wire.KnownPeer(NodeId(bytes(32)), "x" * 300) for _ in range(64))
    assert decode_body(body_of(wire.Peers(1, known))) == wire.Peers(1, known)


def test_what_does_not_fit_a_frame_is_not_sent() -> None:
    with pytest.raises(ValueError, match="frame of"):
        encode_frame(wire.Have(1, tuple(range(1 << 20))))


@pytest.mark.parametrize(
    "fields",
    [
        [2, 1, list(range(8193))],  # too many indices
        [2, 1, [wire.MAX_CHUNKS + 1]],
        [2, 1, [-1]],
        [2, 1, [1.0]],
        [2, 1, [True]],
        [2, -1, []],
        [2, (1 << 32) + 1, []],
        [1, 1, str(_DIGEST), 10, b"x" * (48 * 1024 + 1), b"", 1],
        [1, 1, str(_DIGEST).upper(), 10, b"", b"", 1],
        [1, 1, "sha256:../../etc/passwd", 10, b"", b"", 1],
        [1, 1, str(_DIGEST), 10, "have", b"", 1],
        [1, 1, str(_DIGEST), 10, b"", b"", 1001],
        [6, 1, 0, wire.MAX_CHUNK_BYTES + 1, 1],
        [6, 1, 0, 0, wire.MAX_SEGMENT_BYTES + 1],
        [4, 1, 0, [b"short", b"n" * 32, b"s" * 64]],
        [4, 1, 0, []],
        [0, 1, "cluster\n", b"n" * 32],
        [0, 1, "c" * 101, b"n" * 32],
        [0, 1, "cluster", b"n" * 31],
        [0, 1, "cluster"],
        [12, "x" * 201],
    ],
)
def test_values_out_of_their_limits_are_malformed(fields: list[object]) -> None:
    with pytest.raises(Malformed):
        decode_body(msgpack.packb(fields))


@given(st.text(max_size=400))
def test_any_reason_reaches_the_other_side_in_printable_form(reason: str) -> None:
    for message in (wire.Bye(reason), wire.Reject(1, None, reason)):
        arrived = decode_body(body_of(message))
        assert isinstance(arrived, wire.Bye | wire.Reject)
        assert arrived.reason.isprintable()
        assert len(arrived.reason) == min(len(reason), 200)
