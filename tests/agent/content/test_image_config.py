"""The config of an image, and the IDs that follow from it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.content.chain_id import chain_ids
from agent.content.digest import Digest
from agent.content.errors import ContentError
from agent.content.image_config import encode, parse_image_config, parse_time, time_text

_DIFF = Digest.of(b"layer")


def config(**more: Any) -> bytes:
    values: dict[str, Any] = {
        "architecture": "arm64",
        "variant": "v8",
        "os": "linux",
        "created": "2024-01-02T03:04:05.123456789Z",
        "author": "someone",
        "config": {"Env": ["A=b"], "Labels": {"k": "v"}},
        "rootfs": {"type": "layers", "diff_ids": [str(_DIFF)]},
        "history": [
            {"created": "2024-01-02T03:04:05Z", "created_by": "ADD rootfs /"},
            {"created_by": "CMD sh", "empty_layer": True},
        ],
    }
    return json.dumps({key: value for key, value in (values | more).items() if value is not ...}).encode()


def test_a_config_tells_platform_layers_and_how_it_came_to_be() -> None:
    found = parse_image_config(config())
    assert str(found.platform) == "linux/arm64/v8"
    assert found.diff_ids == (_DIFF,)
    assert [entry.empty_layer for entry in found.history] == [False, True]
    assert found.labels == {"k": "v"}
    assert found.created_at == pytest.approx(1_704_164_645.123456)


def test_a_config_without_history_runtime_or_time_is_fine() -> None:
    found = parse_image_config(config(history=None, config=None, created=..., author=..., variant=...))
    assert (found.history, dict(found.runtime), found.created, found.author) == ((), {}, None, "")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"[]", "not a JSON object"),
        (b"{", "not JSON"),
        (b'{"os": "a", "os": "b"}', "the same key twice"),
        (config(rootfs=...), "rootfs is missing"),
        (config(rootfs={"type": "vhd", "diff_ids": []}), "another type"),
        (config(rootfs={"diff_ids": ["sha256:short"]}), "invalid digest"),
        (config(rootfs={"diff_ids": "sha256"}), "not a list"),
        (config(history=[1]), "history[0]"),
        (config(history=[{"empty_layer": "yes"}]), "history[0]"),
        (config(config=[1]), "config is not an object"),
        (config(created=5), "created is not a string"),
        (b" " * (5 * 1024 * 1024), "at most"),
    ],
)
def test_what_no_runtime_could_use_is_refused_with_the_reason(body: bytes, words: str) -> None:
    with pytest.raises(ContentError) as refused:
        parse_image_config(body)
    assert words in str(refused.value)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_config_or_a_content_error(body: bytes) -> None:
    try:
        parse_image_config(body)
    except ContentError:
        pass


def test_chain_ids_are_those_of_the_specification() -> None:
    a, b, c = (Digest.of(name) for name in (b"a", b"b", b"c"))
    first, second, third = chain_ids([a, b, c])
    assert first == a
    assert second == Digest.of(f"{a} {b}".encode())
    assert third == Digest.of(f"{second} {c}".encode())
    assert chain_ids([]) == []


def test_equal_configs_are_written_with_equal_bytes() -> None:
    assert (
        encode({"b": 1, "a": "\u00fc"}) == encode({"a": "\u00fc", "b": 1}) == '{"a":"\u00fc","b":1}'.encode()
    )


@pytest.mark.parametrize(
    "text", ["2024-01-02T03:04:05Z", "2024-01-02T03:04:05.5+00:00", "2024-01-02T04:04:05.123456789+01:00"]
)
def test_times_are_read_as_go_writes_them(text: str) -> None:
    assert parse_time(text) == pytest.approx(1_704_164_645, abs=1)


def test_a_time_that_is_none_is_none() -> None:
    assert parse_time("yesterday") is None
    assert time_text(0.0) == "1970-01-01T00:00:00.000000Z"
