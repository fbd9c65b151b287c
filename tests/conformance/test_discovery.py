"""Tags, referrers, the catalog, and what is deleted: row by row."""

import itertools
from pathlib import Path

import pytest

from agent.content.digest import Digest
from agent.content.media_types import OCI_INDEX
from tests.conformance.endpoint import (
    Client,
    artifact_of,
    code_of,
    index_of,
    manifest_of,
    open_endpoint,
    open_pushable,
)

SBOM, SIGNATURE = "application/vnd.example.sbom", "application/vnd.example.signature"


async def pages(client: Client, path: str, key: str) -> list[list[str]]:
    """Every page, by the links."""
    found = []
    while path:
        answer = await client.call("GET", path)
        assert answer.status_code == 200
        found.append([item if isinstance(item, str) else item["digest"] for item in answer.json()[key]])
        link = answer.links.get("next")
        path = link["url"] if link else ""
    return found


async def test_many_tags_page_by_page(client: Client) -> None:
    image = await client.push(manifest_of(b"1"), "0")
    tags = ["0", *(f"T{n:03}" if n % 2 else f"t{n:03}" for n in range(39))]
    for tag in tags[1:]:
        assert (await client.put_manifest(image, tag)).status_code == 201
    assert await pages(client, "team/app/tags/list", "tags") == [tags]
    assert await pages(client, "team/app/tags/list?n=15", "tags") == [
        tags[:15], tags[15:30], tags[30:]
    ]  # fmt: skip
    answer = await client.call("GET", f"team/app/tags/list?n=3&last={tags[4]}")
    assert answer.json()["tags"] == tags[5:8]
    assert (await client.call("GET", "team/app/tags/list?last=zzz")).json()["tags"] == []


async def test_no_tags_are_an_empty_list_without_a_link(client: Client) -> None:
    await client.push(manifest_of(b"1"), "1")
    answer = await client.call("GET", "team/app/tags/list?n=0")
    assert (answer.json(), answer.headers.get("link")) == ({"name": "team/app", "tags": []}, None)
    await client.push_blob(b"only a blob", "team/blobs")
    assert (await client.call("GET", "team/blobs/tags/list")).json()["tags"] == []


@pytest.mark.parametrize("n", ["-1", "x"])
async def test_a_number_that_is_none_is_400(client: Client, n: str) -> None:
    await client.push(manifest_of(b"1"), "1")
    for path in (f"team/app/tags/list?n={n}", f"_catalog?n={n}"):
        assert (await client.call("GET", path)).status_code == 400


async def test_tags_of_an_unknown_repository_are_404(client: Client) -> None:
    answer = await client.call("GET", "team/nothing/tags/list")
    assert (answer.status_code, code_of(answer)) == (404, "NAME_UNKNOWN")


async def test_the_catalog_lists_the_clusters_own_repositories(client: Client) -> None:
    assert (await client.call("GET", "_catalog")).json() == {"repositories": []}
    for name in ("b/two", "a/one", "c"):
        await client.push(manifest_of(b"1"), "1", name)
    assert await pages(client, "_catalog?n=2", "repositories") == [["a/one", "b/two"], ["c"]]
    huge = await client.call("GET", "_catalog?n=999999999999999999999999")
    assert huge.json()["repositories"] == ["a/one", "b/two", "c"]


async def test_referrers_of_an_image_with_filter_and_annotations(client: Client) -> None:
    image = await client.push(manifest_of(b"1"), "1")
    first = artifact_of(SBOM, image, annotations={"org.example.made": "today"})
    for artifact in (first, artifact_of(SIGNATURE, image)):
        for blob in artifact.blobs:
            await client.push_blob(blob)
        answer = await client.put_manifest(artifact)
        assert (answer.status_code, answer.headers["oci-subject"]) == (201, str(image.digest))
    by_config = await client.push(manifest_of(b"2", subject=image.descriptor), "by-config")
    index = await client.push(index_of(subject=image.descriptor, artifactType=SIGNATURE), "by-index")
    answer = await client.call("GET", f"team/app/referrers/{image.digest}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, OCI_INDEX)
    found = {entry["digest"]: entry for entry in answer.json()["manifests"]}
    assert len(found) == 4
    assert found[str(first.digest)] == first.descriptor | {
        "artifactType": SBOM,
        "annotations": {"org.example.made": "today"},
    }
    assert found[str(by_config.digest)]["artifactType"] == "application/vnd.oci.image.config.v1+json"
    assert found[str(index.digest)]["mediaType"] == OCI_INDEX
    assert "oci-filters-applied" not in answer.headers
    filtered = await client.call("GET", f"team/app/referrers/{image.digest}?artifactType={SBOM}")
    assert [entry["digest"] for entry in filtered.json()["manifests"]] == [str(first.digest)]
    assert filtered.headers["oci-filters-applied"] == "artifactType"
    several = await pages(client, f"team/app/referrers/{image.digest}?n=3", "manifests")
    assert [len(page) for page in several] == [3, 1]
    assert sorted(itertools.chain(*several)) == sorted(found)


async def test_referrers_of_what_nobody_knows_are_an_empty_index(client: Client) -> None:
    await client.push(manifest_of(b"1"), "1")
    for name in ("team/app", "team/nothing"):
        answer = await client.call("GET", f"{name}/referrers/{Digest.of(b'')}")
        assert answer.json() == {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}
    assert (await client.call("GET", "team/app/referrers/sha256:x")).status_code == 400


async def test_a_subject_may_be_pushed_after_what_refers_to_it(client: Client) -> None:
    image = manifest_of(b"1")
    artifact = await client.push(artifact_of(SBOM, image))
    await client.push(image, "1")
    answer = await client.call("GET", f"team/app/referrers/{image.digest}")
    assert [entry["digest"] for entry in answer.json()["manifests"]] == [str(artifact.digest)]


# --- deletes ----------------------------------------------------------------------------------------------------


async def test_a_tag_is_deleted_and_its_manifest_stays(client: Client) -> None:
    image = await client.push(manifest_of(b"1"), "1")
    assert (await client.call("DELETE", "team/app/manifests/1")).status_code == 202
    assert (await client.call("GET", "team/app/manifests/1")).status_code == 404
    assert (await client.call("GET", f"team/app/manifests/{image.digest}")).status_code == 200
    assert (await client.call("GET", "team/app/tags/list")).json()["tags"] == []
    answer = await client.call("DELETE", "team/app/manifests/1")
    assert (answer.status_code, code_of(answer)) == (404, "MANIFEST_UNKNOWN")


async def test_a_manifest_is_deleted_with_its_tags_and_as_a_referrer(client: Client) -> None:
    image = await client.push(manifest_of(b"1"), "1")
    artifact = await client.push(artifact_of(SBOM, image), "sbom")
    assert (await client.call("DELETE", f"team/app/manifests/{artifact.digest}")).status_code == 202
    for reference in (artifact.digest, "sbom"):
        answer = await client.call("GET", f"team/app/manifests/{reference}")
        assert (answer.status_code, code_of(answer)) == (404, "MANIFEST_UNKNOWN")
    answer = await client.call("GET", f"team/app/referrers/{image.digest}")
    assert answer.json()["manifests"] == []
    assert (await client.call("GET", "team/app/tags/list")).json()["tags"] == ["1"]
    assert (await client.call("DELETE", f"team/app/manifests/{artifact.digest}")).status_code == 404
    await client.push(artifact, "sbom")
    assert (await client.call("GET", "team/app/manifests/sbom")).content == artifact.body


async def test_a_blob_is_deleted_in_its_repository_alone(client: Client) -> None:
    digest = await client.push_blob(b"content")
    await client.push_blob(b"content", "team/other")
    assert (await client.call("DELETE", f"team/app/blobs/{digest}")).status_code == 202
    assert (await client.call("GET", f"team/app/blobs/{digest}")).status_code == 404
    assert (await client.call("GET", f"team/other/blobs/{digest}")).status_code == 200
    answer = await client.call("DELETE", f"team/app/blobs/{digest}")
    assert (answer.status_code, code_of(answer)) == (404, "BLOB_UNKNOWN")


async def test_nothing_is_deleted_where_it_is_off(tmp_path: Path) -> None:
    async with open_pushable(tmp_path / "node") as node, open_endpoint(node) as client:
        image = await client.push(manifest_of(b"1"), "1")
        blob = Digest.of(b"1")
        for path in ("manifests/1", f"manifests/{image.digest}", f"blobs/{blob}"):
            answer = await client.call("DELETE", f"team/app/{path}")
            assert (answer.status_code, code_of(answer)) == (405, "UNSUPPORTED")
            assert "DELETE" not in answer.headers["allow"]
            assert (await client.call("GET", f"team/app/{path}")).status_code == 200


@pytest.mark.parametrize("blobs_first", [True, False])
async def test_what_was_deleted_in_whichever_order_is_gone_and_can_be_pushed_again(
    client: Client, blobs_first: bool
) -> None:
    image = manifest_of(b"layer")
    for _ in range(2):
        await client.push(image, "1")
        await client.push(image, "2")
        gone = [f"blobs/{Digest.of(blob)}" for blob in image.blobs]
        gone = [*gone, f"manifests/{image.digest}"] if blobs_first else [f"manifests/{image.digest}", *gone]
        for one in gone:
            assert (await client.call("DELETE", f"team/app/{one}")).status_code == 202
            assert (await client.call("DELETE", f"team/app/{one}")).status_code == 404
            assert (await client.call("GET", f"team/app/{one}")).status_code == 404
        for tag in ("1", "2"):
            assert (await client.call("HEAD", f"team/app/manifests/{tag}")).status_code == 404


async def test_the_list_of_a_repository_whose_last_tag_was_deleted_is_empty(client: Client) -> None:
    await client.push(manifest_of(b"layer"), "1")
    assert (await client.call("DELETE", "team/app/manifests/1")).status_code == 202
    answer = await client.call("GET", "team/app/tags/list")
    assert (answer.status_code, answer.json()) == (200, {"name": "team/app", "tags": []})
