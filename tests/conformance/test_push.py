"""Pushes, row by row: every success and every failure of uploads and manifests."""

import itertools
import json
import random
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from agent.content.digest import Digest
from agent.content.media_types import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from registry_proxy.content_range import ChunkRange, parse_chunk_range, received_range
from registry_proxy.errors import RequestRefused
from tests.conformance.endpoint import (
    Client,
    Manifest,
    code_of,
    described,
    index_of,
    manifest_of,
    open_endpoint,
    open_pushable,
)
from tests.fakes.http_peer import HttpPeer

pytestmark = pytest.mark.slow

BLOB = b"some content" * 1000
DIGEST = Digest.of(BLOB)
NONE = Digest.of(b"never pushed")


async def is_there(client: Client, digest: Digest = DIGEST, content: bytes = BLOB) -> bool:
    head = await client.call("HEAD", f"team/app/blobs/{digest}")
    if head.status_code != 200:
        return False
    assert head.headers["content-length"] == str(len(content))
    return (await client.call("GET", f"team/app/blobs/{digest}")).content == content


# --- blobs ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("content", [BLOB, b""])
async def test_a_blob_in_one_post(client: Client, content: bytes, algorithm: str) -> None:
    digest = Digest.of(content, algorithm)
    answer = await client.call("POST", f"team/app/blobs/uploads/?digest={digest}", content=content)
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/v2/team/app/blobs/{digest}"
    assert answer.headers["docker-content-digest"] == str(digest)
    assert await is_there(client, digest, content)


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
async def test_a_blob_in_post_and_put(client: Client, algorithm: str) -> None:
    digest = Digest.of(BLOB, algorithm)
    location = await client.begin()
    answer = await client.call("PUT", f"{location}?digest={digest}", content=BLOB)
    assert (answer.status_code, answer.headers["location"]) == (201, f"/v2/team/app/blobs/{digest}")
    assert await is_there(client, digest)


async def test_a_blob_in_chunks_with_the_last_one_in_the_put(client: Client) -> None:
    location = await client.begin()
    for start, stop in ((0, 4000), (4000, 8000)):
        answer = await client.call(
            "PATCH", location, content=BLOB[start:stop], Content_Range=f"{start}-{stop - 1}"
        )
        assert (answer.status_code, answer.headers["range"]) == (202, f"0-{stop - 1}")
        location = answer.headers["location"]
        status = await client.call("GET", location)
        assert (status.status_code, status.headers["range"]) == (204, f"0-{stop - 1}")
        assert status.headers["location"] == location
    last = f"8000-{len(BLOB) - 1}"
    answer = await client.call("PUT", f"{location}?digest={DIGEST}", content=BLOB[8000:], Content_Range=last)
    assert answer.status_code == 201
    assert await is_there(client)


async def test_a_blob_in_one_stream_as_docker_sends_it(client: Client) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(BLOB), 1000):
            yield BLOB[at : at + 1000]

    location = await client.begin()
    answer = await client.http.patch(location, content=pieces())
    assert (answer.status_code, answer.headers["range"]) == (202, f"0-{len(BLOB) - 1}")
    assert answer.headers["docker-upload-uuid"]
    answer = await client.call("PUT", f"{answer.headers['location']}?digest={DIGEST}", content=b"")
    assert answer.status_code == 201
    assert await is_there(client)


async def test_a_new_upload_has_no_bytes_and_says_so(client: Client) -> None:
    answer = await client.call("POST", "team/app/blobs/uploads/")
    assert (answer.status_code, answer.headers["range"]) == (202, "0-0")
    status = await client.call("GET", answer.headers["location"])
    assert (status.status_code, status.headers["range"], status.content) == (204, "0-0", b"")


@pytest.mark.parametrize("place", ["5-9", "3-7", "0-4"])
async def test_a_chunk_out_of_order_is_416_and_told_where_it_goes_on(client: Client, place: str) -> None:
    location = await client.begin()
    await client.call("PATCH", location, content=b"1234", Content_Range="0-3")
    for method, target in (("PATCH", location), ("PUT", f"{location}?digest={DIGEST}")):
        answer = await client.call(method, target, content=b"12345", Content_Range=place)
        assert (answer.status_code, code_of(answer)) == (416, "BLOB_UPLOAD_INVALID")
        assert (answer.headers["range"], answer.headers["location"]) == ("0-3", location)
    answer = await client.call("PATCH", location, content=b"5", Content_Range="4-4")
    assert (answer.status_code, answer.headers["range"]) == (202, "0-4")


@pytest.mark.parametrize("told", ["0-8", "0-1", "x", "bytes 0-4/*", "4-0", "0-", "-4"])
async def test_a_chunk_that_is_not_what_its_range_says_is_400_and_taken_back(
    client: Client, told: str
) -> None:
    async def unmeasured() -> AsyncIterator[bytes]:
        yield b"12345"

    location = await client.begin()
    for content in (b"12345", unmeasured()):
        answer = await client.http.patch(location, content=content, headers={"Content-Range": told})
        assert answer.status_code == 400
        assert code_of(answer) in {"SIZE_INVALID", "BLOB_UPLOAD_INVALID"}
    assert (await client.call("GET", location)).headers["range"] == "0-0"
    assert (await client.call("PATCH", location, content=BLOB, Content_Range=f"0-{len(BLOB) - 1}")).is_success
    assert (await client.call("PUT", f"{location}?digest={DIGEST}")).status_code == 201


async def test_a_wrong_digest_is_400_and_nothing_is_kept(client: Client) -> None:
    answer = await client.call("POST", f"team/app/blobs/uploads/?digest={NONE}", content=BLOB)
    assert (answer.status_code, code_of(answer)) == (400, "DIGEST_INVALID")
    location = await client.begin()
    answer = await client.call("PUT", f"{location}?digest={NONE}", content=BLOB)
    assert (answer.status_code, code_of(answer)) == (400, "DIGEST_INVALID")
    assert not await is_there(client)
    assert not await is_there(client, NONE)


@pytest.mark.parametrize("query", ["?digest=md5:abc", "?digest=sha256:1", ""])
async def test_a_put_without_a_digest_is_400(client: Client, query: str) -> None:
    location = await client.begin()
    answer = await client.call("PUT", f"{location}{query}", content=BLOB)
    assert (answer.status_code, code_of(answer)) == (400, "DIGEST_INVALID")
    answer = await client.call("PUT", f"{location}?digest={DIGEST}", content=BLOB)
    assert answer.status_code == 201


async def test_an_upload_that_is_not_there_is_404(client: Client) -> None:
    location = await client.begin()
    elsewhere = location.replace("team/app", "team/other")
    gone = await client.begin()
    assert (await client.call("DELETE", gone)).status_code == 204
    for target in (elsewhere, gone, location[:-1], location[:-32] + "f" * 32):
        for method in ("GET", "PATCH", "DELETE"):
            answer = await client.call(method, target, content=b"1" if method == "PATCH" else None)
            assert (answer.status_code, code_of(answer)) == (404, "BLOB_UPLOAD_UNKNOWN")
        answer = await client.call("PUT", f"{target}?digest={DIGEST}", content=BLOB)
        assert (answer.status_code, code_of(answer)) == (404, "BLOB_UPLOAD_UNKNOWN")


async def test_a_blob_is_mounted_from_where_it_is_known_and_only_from_there(client: Client) -> None:
    await client.push_blob(BLOB, "team/base")
    for mount in (f"mount={DIGEST}&from=team/nothing", f"mount={NONE}", f"mount={NONE}&from=team/base"):
        answer = await client.call("POST", f"team/app/blobs/uploads/?{mount}")
        assert answer.status_code == 202
        assert "/blobs/uploads/" in answer.headers["location"]
        assert not await is_there(client)
    for name, origin in (("team/app", "&from=team/base"), ("team/other", "")):
        answer = await client.call("POST", f"{name}/blobs/uploads/?mount={DIGEST}{origin}")
        assert (answer.status_code, answer.headers["location"]) == (201, f"/v2/{name}/blobs/{DIGEST}")
        assert (await client.call("GET", f"{name}/blobs/{DIGEST}")).content == BLOB


async def test_a_blob_of_another_repository_is_not_read_without_mounting_it(client: Client) -> None:
    await client.push_blob(BLOB, "team/secret")
    await client.push_blob(b"other")
    answer = await client.call("GET", f"team/app/blobs/{DIGEST}")
    assert (answer.status_code, code_of(answer)) == (404, "BLOB_UNKNOWN")


async def test_ranges_of_a_pushed_blob(client: Client) -> None:
    await client.push_blob(BLOB)
    path = f"team/app/blobs/{DIGEST}"
    answer = await client.call("GET", path, Range="bytes=3-10")
    assert (answer.status_code, answer.content) == (206, BLOB[3:11])
    for range_ in ("bytes=500-0", f"bytes={len(BLOB)}-"):
        assert (await client.call("GET", path, Range=range_)).status_code == 416


@given(st.integers(0, 10**18 - 1), st.integers(0, 10**18 - 1))
def test_every_chunk_range_in_order_is_understood(first: int, last: int) -> None:
    if last >= first:
        assert parse_chunk_range(f"{first}-{last}") == ChunkRange(first, last)
    else:
        with pytest.raises(RequestRefused):
            parse_chunk_range(f"{first}-{last}")


@given(st.text(alphabet="0123456789- bytes=/*\t٣", max_size=30))
def test_any_other_text_is_no_chunk_range(text: str) -> None:
    if re.fullmatch(r"[ \t]*[0-9]{1,18}-[0-9]{1,18}[ \t]*", text, re.ASCII):
        return
    with pytest.raises(RequestRefused) as caught:
        parse_chunk_range(text)
    assert caught.value.status == 400


@given(st.integers(1, 10**15))
def test_the_range_told_is_the_one_to_go_on_from(size: int) -> None:
    told = parse_chunk_range(received_range(size))
    assert (told.start, told.last + 1) == (0, size)


async def test_however_a_blob_is_cut_it_arrives_whole(client: Client) -> None:
    rng = random.Random(4)
    for number in range(8):
        content = rng.randbytes(rng.randrange(1, 3000))
        edges = sorted({0, len(content), *(rng.randrange(len(content)) for _ in range(number))})
        location = await client.begin()
        for start, stop in itertools.pairwise(edges):
            wrong = rng.choice([start + 1, max(start - 1, 0), start])
            told = f"{wrong}-{wrong + stop - start - 1}"
            answer = await client.call("PATCH", location, content=content[start:stop], Content_Range=told)
            assert answer.status_code == (202 if wrong == start else 416)
            if wrong != start:
                assert answer.headers["range"] == received_range(start)
                told = f"{start}-{stop - 1}"
                answer = await client.call("PATCH", location, content=content[start:stop], Content_Range=told)
                assert (answer.status_code, answer.headers["range"]) == (202, received_range(stop))
        digest = Digest.of(content)
        assert (await client.call("PUT", f"{location}?digest={digest}")).status_code == 201
        assert await is_there(client, digest, content)


# --- manifests --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
async def test_a_manifest_by_digest_and_by_tag(client: Client, algorithm: str) -> None:
    image = manifest_of(b"a layer", algorithm=algorithm)
    await client.push(image)
    tagged = await client.put_manifest(image, f"1?digest={image.digest}")
    assert (tagged.status_code, tagged.headers["docker-content-digest"]) == (201, str(image.digest))
    assert tagged.headers["location"] == f"/v2/team/app/manifests/{image.digest}"
    for reference in ("1", image.digest):
        for method in ("GET", "HEAD"):
            answer = await client.call(method, f"team/app/manifests/{reference}")
            assert answer.status_code == 200
            assert answer.headers["content-type"] == OCI_MANIFEST
            assert answer.headers["docker-content-digest"] == str(image.digest)
            assert answer.headers["content-length"] == str(len(image.body))
            assert answer.content == (image.body if method == "GET" else b"")


async def test_a_manifest_by_digest_can_bring_its_tags(client: Client) -> None:
    image = await client.push(manifest_of(b"a layer"), "first")
    answer = await client.put_manifest(image, f"{image.digest}?tag=a&tag=b")
    assert (answer.status_code, answer.headers.get_list("oci-tag")) == (201, ["a", "b"])
    tags = await client.call("GET", "team/app/tags/list")
    assert tags.json() == {"name": "team/app", "tags": ["a", "b", "first"]}


async def test_a_tag_moves_and_what_it_pointed_to_stays(client: Client) -> None:
    one, two = await client.push(manifest_of(b"1"), "1"), await client.push(manifest_of(b"2"), "1")
    assert (await client.call("GET", "team/app/manifests/1")).content == two.body
    assert (await client.call("GET", f"team/app/manifests/{one.digest}")).content == one.body


async def test_an_index_nested_and_empty_ones(client: Client) -> None:
    images = [await client.push(manifest_of(bytes([n]))) for n in range(2)]
    index = await client.push(index_of(*images), "index")
    await client.push(index_of(index, images[0]), "nested")
    await client.push(index_of(), "empty")
    await client.push(manifest_of(), "no-layers")
    for tag, kind in (
        ("index", OCI_INDEX),
        ("nested", OCI_INDEX),
        ("empty", OCI_INDEX),
        ("no-layers", OCI_MANIFEST),
    ):
        answer = await client.call("GET", f"team/app/manifests/{tag}")
        assert (answer.status_code, answer.headers["content-type"]) == (200, kind)


async def test_a_large_manifest_is_taken_and_a_giant_one_is_413(client: Client) -> None:
    large = manifest_of(b"x", annotations={"filler": "x" * 4_500_000})
    await client.push(large, "large")
    assert (await client.call("GET", "team/app/manifests/large")).content == large.body
    peer = HttpPeer(await trio.open_tcp_stream("127.0.0.1", client.http.base_url.port or 0))
    refused = await peer.get("/v2/team/app/manifests/giant", "Content-Length: 9000000", method="PUT")
    assert (refused.status, json.loads(refused.body)["errors"][0]["code"]) == (413, "SIZE_INVALID")
    await peer.stream.aclose()


async def test_a_manifest_whose_parts_were_not_pushed_here_is_refused(client: Client) -> None:
    image, other = manifest_of(b"a layer"), manifest_of(b"other")
    await client.push(image, "1", "team/elsewhere")
    await client.push(other, "1")
    for missing in (image, index_of(image), index_of(other, image)):
        answer = await client.put_manifest(missing, "x")
        assert (answer.status_code, code_of(answer)) == (400, "MANIFEST_BLOB_UNKNOWN")
    assert (await client.call("GET", "team/app/manifests/x")).status_code == 404


async def test_a_manifest_that_tells_a_part_s_size_wrong_is_refused(client: Client) -> None:
    image = manifest_of(b"a layer")
    wrong = Manifest(image.body.replace(b'"size": 7', b'"size": 8'), blobs=image.blobs)
    assert wrong.body != image.body
    for blob in image.blobs:
        await client.push_blob(blob)
    answer = await client.put_manifest(wrong, "1")
    assert (answer.status_code, code_of(answer)) == (400, "MANIFEST_INVALID")


async def test_a_manifest_under_another_digest_is_400(client: Client) -> None:
    image = await client.push(manifest_of(b"a layer"), "1")
    answer = await client.put_manifest(image, str(NONE))
    assert (answer.status_code, code_of(answer)) == (400, "DIGEST_INVALID")
    answer = await client.put_manifest(image, "sha256:xyz")
    assert (answer.status_code, code_of(answer)) == (400, "DIGEST_INVALID")


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", OCI_MANIFEST),
        (b"{", OCI_MANIFEST),
        (b"[]", OCI_MANIFEST),
        (b'{"schemaVersion": 1}', OCI_MANIFEST),
        (b'{"schemaVersion": 2}', OCI_MANIFEST),
        (b'{"schemaVersion": 2, "manifests": [], "layers": [], "config": {}}', OCI_MANIFEST),
        (b'{"schemaVersion": 2, "manifests": []}', OCI_MANIFEST),
        (b'{"schemaVersion": 2, "manifests": [], "Manifests": []}', OCI_INDEX),
        (b'{"schemaVersion": 2, "manifests": [], "mediaType": "text/plain"}', OCI_INDEX),
        (b'{"schemaVersion": 2, "manifests": [{"digest": "sha256:../../x", "size": 1}]}', OCI_INDEX),
    ],
)
async def test_a_document_that_nobody_could_use_is_400(
    client: Client, body: bytes, content_type: str
) -> None:
    answer = await client.put_manifest(Manifest(body, content_type), "1")
    assert (answer.status_code, code_of(answer)) == (400, "MANIFEST_INVALID")


async def test_a_tag_that_cannot_be_is_refused(client: Client) -> None:
    answer = await client.put_manifest(index_of(), "-x")
    assert (answer.status_code, code_of(answer)) == (400, "MANIFEST_INVALID")


async def test_layers_that_no_registry_need_hold_need_not_be_pushed(client: Client) -> None:
    config = b"{}"
    foreign = described(b"far away", "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip")
    image = manifest_of(
        config=described(config, "application/vnd.docker.container.image.v1+json"),
        layers=[foreign],
        mediaType=DOCKER_MANIFEST,
    )
    await client.push_blob(config)
    answer = await client.put_manifest(Manifest(image.body, DOCKER_MANIFEST), "windows")
    assert answer.status_code == 201


@pytest.mark.parametrize(
    ("target", "status", "code"),
    [
        ("quay.io/team/app", 405, "UNSUPPORTED"),
        ("registry.example/team/app", 405, "UNSUPPORTED"),
        ("cluster.shoal/team/app", 405, "UNSUPPORTED"),
        ("library/app", 403, "DENIED"),
        ("untagged", 403, "DENIED"),
        ("Team/app", 400, "NAME_INVALID"),
    ],
)
async def test_pushes_elsewhere_are_refused(client: Client, target: str, status: int, code: str) -> None:
    for method, path in (("POST", "blobs/uploads/"), ("PUT", "manifests/1")):
        answer = await client.call(method, f"{target}/{path}", content=b"{}")
        assert (answer.status_code, code_of(answer)) == (status, code)
    answer = await client.call("POST", "team/app/blobs/uploads/?ns=registry.example")
    assert (answer.status_code, code_of(answer)) == (405, "UNSUPPORTED")


async def test_the_clusters_registry_is_no_upstream_to_ask(client: Client) -> None:
    await client.push(manifest_of(b"1"), "1")
    for path in ("team/app/manifests/1?ns=cluster.shoal", "cluster.shoal/team/app/manifests/1"):
        answer = await client.call("GET", path)
        assert (answer.status_code, code_of(answer)) == (404, "NAME_UNKNOWN")


async def test_who_is_about_to_push_is_told_unknown_though_no_upstream_answers(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.node.giving_up._ALONE_FAILURES", 1)
    for path in (f"team/new/blobs/{DIGEST}", "team/new/manifests/1", f"team/new/manifests/{DIGEST}"):
        for method in ("HEAD", "GET"):
            assert (await client.call(method, path)).status_code == 404
    for path in ("library/new/manifests/1", "team/new/manifests/1?ns=registry.example"):
        assert (await client.call("GET", path)).status_code == 502


async def test_a_page_in_a_browser_pushes_nothing(client: Client) -> None:
    for method, path in (
        ("POST", f"team/app/blobs/uploads/?digest={DIGEST}"),
        ("PUT", "team/app/manifests/1"),
        ("DELETE", "team/app/manifests/1"),
    ):
        answer = await client.call(method, path, content=BLOB, Origin="http://evil.example")
        assert (answer.status_code, code_of(answer)) == (403, "DENIED")
    assert not await is_there(client)


async def test_a_full_store_refuses_a_push_and_loses_none(tmp_path: Path) -> None:
    kib = 1024
    async with open_pushable(tmp_path / "node", store__quota="400KiB") as node, open_endpoint(node) as client:
        image = await client.push(manifest_of(random.Random(1).randbytes(200 * kib)), "1")
        large = random.Random(2).randbytes(300 * kib)
        answer = await client.call(
            "POST", f"team/app/blobs/uploads/?digest={Digest.of(large)}", content=large
        )
        assert answer.status_code == 507
        assert "no room" in answer.text
        for blob in image.blobs:
            assert await is_there(client, Digest.of(blob), blob)
        assert not list((node.store.root / "uploads").iterdir())
