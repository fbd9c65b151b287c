"""Brings a made image to a registry, over HTTP, or into an OCI layout on disk. Streams: no layer is in memory."""

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import httpx

from tests.fakes.images import Blob, Image


async def push_image(
    image: Image, registry_url: str, repository: str, tag: str, *, headers: Mapping[str, str] | None = None
) -> None:
    """To `<registry_url>/v2/<repository>/manifests/<tag>`; children of an index go by digest. `headers` go with every
    request (Authorization, where the registry wants one)."""
    timeout = httpx.Timeout(600)
    async with httpx.AsyncClient(base_url=f"{registry_url}/v2/{repository}/", timeout=timeout) as client:
        client.headers.update(headers or {})
        await _push_manifest(client, image, tag)


async def _push_manifest(client: httpx.AsyncClient, image: Image, reference: str) -> None:
    for child in image.children:
        await _push_manifest(client, child, str(child.manifest.digest))
    for blob in {blob.digest: blob for blob in image.blobs}.values():
        await _push_blob(client, blob)
    manifest = b"".join(image.manifest.pieces())
    answer = await client.put(
        f"manifests/{reference}", content=manifest, headers={"Content-Type": image.media_type}
    )
    _expect(answer, 201)


async def _push_blob(client: httpx.AsyncClient, blob: Blob) -> None:
    started = await client.post("blobs/uploads/")
    _expect(started, 202)
    location = httpx.URL(str(started.url)).join(started.headers["Location"])
    answer = await client.put(
        location.copy_merge_params({"digest": str(blob.digest)}),
        content=_body(blob),
        headers={"Content-Type": "application/octet-stream", "Content-Length": str(blob.size_bytes)},
    )
    _expect(answer, 201)


async def _body(blob: Blob) -> AsyncIterator[bytes]:
    for piece in blob.pieces():
        yield piece


def _expect(answer: httpx.Response, status: int) -> None:
    if answer.status_code != status:
        raise AssertionError(
            f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}"
        )


def write_layout(image: Image, directory: Path, tag: str) -> None:
    """An OCI image layout with this one image; `skopeo copy oci:<directory>:<tag>` reads it."""
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    for blob in image.all_blobs():
        with open(blobs / blob.digest.hex, "wb") as file:
            file.writelines(blob.pieces())
    (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    descriptor = {
        "mediaType": image.media_type,
        "digest": str(image.manifest.digest),
        "size": image.manifest.size_bytes,
        "annotations": {"org.opencontainers.image.ref.name": tag},
    }
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [descriptor]}))
