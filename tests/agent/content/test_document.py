"""Manifests and indexes: what registries really send is read, what two readers could take for two things is refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.content import media_types
from agent.content.digest import Digest
from agent.content.document import MAX_DOCUMENT_BYTES, parse_document
from agent.content.errors import ContentError
from agent.content.platform import Platform

_A, _B = f"sha256:{'a' * 64}", f"sha512:{'b' * 128}"
_CONFIG = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": _A, "size": 7}
_LAYER = {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": _B, "size": 1 << 40}
MANIFEST: dict[str, Any] = {"schemaVersion": 2, "config": _CONFIG, "layers": [_LAYER, _LAYER]}
INDEX: dict[str, Any] = {
    "schemaVersion": 2,
    "manifests": [
        {
            "mediaType": media_types.OCI_MANIFEST,
            "digest": _A,
            "size": 9,
            "platform": {"os": "linux", "architecture": "arm", "variant": "v7"},
            "annotations": {"org.example": "yes"},
        }
    ],
}


def body(value: Any, **changes: Any) -> bytes:
    return json.dumps({**value, **changes}).encode()


def refused(data: bytes, reason: str, content_type: str | None = None) -> None:
    with pytest.raises(ContentError, match=reason):
        parse_document(data, content_type)


# ---- what is read


@pytest.mark.parametrize("media_type", sorted(media_types.MANIFESTS))
def test_a_manifest_names_its_config_and_layers(media_type: str) -> None:
    document = parse_document(body(MANIFEST, mediaType=media_type), f"{media_type}; charset=utf-8")
    assert document.media_type == media_type
    assert not document.is_index
    assert document.config is not None
    assert document.config.size == 7
    assert [str(child.digest) for child in document.children] == [_A, _B, _B]


@pytest.mark.parametrize("media_type", sorted(media_types.INDEXES))
def test_an_index_names_its_manifests(media_type: str) -> None:
    document = parse_document(body(INDEX, mediaType=media_type), media_type)
    assert document.is_index
    (entry,) = document.children
    assert entry.platform == Platform("linux", "arm", "v7")
    assert entry.annotations == {"org.example": "yes"}
    assert entry.digest == Digest.parse(_A)


def test_without_a_media_type_the_header_tells_and_without_both_the_structure() -> None:
    assert (
        parse_document(body(MANIFEST), media_types.DOCKER_MANIFEST).media_type == media_types.DOCKER_MANIFEST
    )
    assert parse_document(body(MANIFEST)).media_type == media_types.OCI_MANIFEST
    assert parse_document(body(MANIFEST), "application/json").media_type == media_types.OCI_MANIFEST
    assert parse_document(body(INDEX)).media_type == media_types.OCI_INDEX
    docker = {**_CONFIG, "mediaType": "application/vnd.docker.container.image.v1+json"}
    assert parse_document(body(MANIFEST, config=docker)).media_type == media_types.DOCKER_MANIFEST


@pytest.mark.parametrize("layers", [[], None])
def test_an_image_may_have_no_layers(layers: object) -> None:
    assert parse_document(body(MANIFEST, layers=layers)).layers == ()


def test_an_artifact_has_a_subject_and_a_type() -> None:
    document = parse_document(body(MANIFEST, subject=_LAYER, artifactType="application/spdx+json"))
    assert document.subject is not None
    assert str(document.subject.digest) == _B
    assert document.artifact_type == "application/spdx+json"


def test_unknown_keys_and_absent_optional_ones_are_fine() -> None:
    layer = {"digest": _A, "size": 0, "urls": ["http://x"], "annotations": None, "platform": None}
    document = parse_document(body(MANIFEST, layers=[layer], annotations={"a": "b"}, x={"y": []}))
    assert document.layers[0].media_type == media_types.OCTET_STREAM


# ---- what is refused


def test_both_at_once_and_neither_are_refused() -> None:
    refused(body({**MANIFEST, **INDEX}), "both a manifest and an index")
    refused(body(INDEX, fsLayers=[]), "both a manifest and an index")
    refused(body({"schemaVersion": 2}), "neither a manifest nor an index")
    refused(body({"schemaVersion": 2, "manifests": None}), "neither a manifest nor an index")


def test_a_media_type_against_the_structure_or_the_header_is_refused() -> None:
    refused(body(MANIFEST, mediaType=media_types.OCI_INDEX), "is a manifest")
    refused(body(INDEX, mediaType=media_types.DOCKER_MANIFEST), "is an index")
    refused(body(INDEX), "is an index", media_types.OCI_MANIFEST)
    refused(
        body(MANIFEST, mediaType=media_types.OCI_MANIFEST),
        "contradicts mediaType",
        media_types.DOCKER_MANIFEST.upper(),
    )


@pytest.mark.parametrize("key", ["Manifests", "MANIFESTS", "Layers", "mediatype", "schemaversion", "Config"])
def test_a_key_that_go_would_take_for_another_is_refused(key: str) -> None:
    refused(body(MANIFEST, **{key: []}), "which some would take for another")


def test_a_key_twice_is_refused() -> None:
    twice = body(MANIFEST)[:-1] + b', "layers": []}'
    refused(twice, "same key twice")
    nested = body(MANIFEST).replace(b'"size": 7', b'"size": 7, "size": 8')
    refused(nested, "same key twice")


@pytest.mark.parametrize("version", [1, 3, "2", 2.0, True, None, [], {}])
def test_another_schema_version_is_refused(version: object) -> None:
    refused(body(MANIFEST, schemaVersion=version), "schemaVersion")


@pytest.mark.parametrize(
    "media_type", ["text/html", "application/vnd.oci.artifact.manifest.v1+json", ["x"], {}, 7, "a\nb"]
)
def test_another_media_type_is_refused(media_type: object) -> None:
    refused(body(MANIFEST, mediaType=media_type), "media type|mediaType")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"{",
        b"<html>",
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        body(MANIFEST).decode().encode("utf-16"),
        body(MANIFEST, x=float("nan")),
        body(MANIFEST, x=float("inf")),
        b'{"x": ' + b"9" * 5000 + b"}",
    ],
)
def test_what_is_no_json_object_is_refused(data: bytes) -> None:
    refused(data, "manifest is not")


def test_nesting_without_end_is_refused() -> None:
    for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
        deep = opening * 100_000 + b"1" + closing * 100_000
        refused(deep, "not JSON")
        for key in ("schemaVersion", "mediaType", "annotations", "artifactType", "config"):
            for depth in (500, 900):
                data = body({k: v for k, v in MANIFEST.items() if k != key})[:-1]
                value = opening * depth + b"1" + closing * depth
                try:
                    parse_document(data + f', "{key}": '.encode() + value + b"}")
                except ContentError as error:
                    assert len(str(error)) < 300  # noqa: PT017


def test_too_large_a_document_is_refused_before_it_is_read() -> None:
    refused(b" " * (MAX_DOCUMENT_BYTES + 1), "at most")


@pytest.mark.parametrize("size", [-1, 1.0, "7", True, None, (1 << 46) + 1, 10**30, []])
def test_a_size_is_a_whole_number_of_bytes(size: object) -> None:
    refused(body(MANIFEST, layers=[{**_LAYER, "size": size}]), r"layers\[0\] has an invalid size")


@pytest.mark.parametrize("digest", ["", "sha256:abc", "sha256:../../x", "md5:" + "a" * 32, None, 7, [_A]])
def test_a_digest_is_well_formed(digest: object) -> None:
    refused(body(MANIFEST, layers=[{**_LAYER, "digest": digest}]), "malformed")


@pytest.mark.parametrize(
    "changes",
    [
        {"config": None},
        {"config": []},
        {"config": "x"},
        {"layers": {}},
        {"layers": [7]},
        {"layers": [_LAYER] * 10_001},
        {"subject": 7},
        {"artifactType": 7},
        {"layers": [{**_LAYER, "annotations": []}]},
        {"layers": [{**_LAYER, "annotations": {"a": 1}}]},
        {"layers": [{**_LAYER, "mediaType": 1}]},
        {"layers": [{**_LAYER, "mediaType": "a\r\nSet-Cookie: b"}]},
        {"layers": [{**_LAYER, "platform": "linux"}]},
        {"layers": [{**_LAYER, "platform": {"os": 1}}]},
    ],
)
def test_a_malformed_part_is_refused(changes: dict[str, object]) -> None:
    refused(body(MANIFEST, **changes), "malformed")


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.sampled_from([_A, _B]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["digest", "size", "mediaType", "platform", "annotations", "os", "x"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)
_keys = st.sampled_from(
    ["schemaVersion", "mediaType", "config", "layers", "manifests", "subject", "artifactType"]
)


@given(st.sampled_from([MANIFEST, INDEX]), st.dictionaries(_keys, _json, max_size=3))
def test_any_json_is_a_document_or_a_content_error(base: dict[str, Any], changes: dict[str, Any]) -> None:
    try:
        document = parse_document(body(base, **changes))
    except ContentError:
        return
    assert document.media_type in media_types.DOCUMENTS
    assert all(child.size >= 0 for child in document.children)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_document_or_a_content_error(data: bytes) -> None:
    with pytest.raises(ContentError):
        parse_document(data)
