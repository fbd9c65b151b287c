"""Pushing to the fake registry: uploads in one or more pieces, resumed, mounts, manifests. Enough for `skopeo copy`."""

import secrets
from urllib.parse import parse_qsl

from tests.fakes.upstream_connection import Cut, Incoming, Outgoing, error_answer
from tests.fakes.upstream_content import Shelf, Upload
from tests.fakes.upstream_faults import Fault


class Uploads:
    """The uploads in progress; `answer` takes every request of a push."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._running: dict[str, Upload] = {}

    def close(self) -> None:
        """Uploads that nobody finished."""
        for upload in self._running.values():
            upload.file.close()

    async def answer(self, request: Incoming, name: str, kind: str, target: str, fault: Fault) -> Outgoing:
        if kind == "manifests" and request.method == "PUT":
            body = await request.read_body()
            digest = self._shelf.put_manifest(name, target, body, request.headers.get("content-type", ""))
            headers = [("location", f"/v2/{name}/manifests/{digest}"), ("docker-content-digest", str(digest))]
            return Outgoing(201, headers)
        upload_id = target.removeprefix("uploads/")
        if kind != "blobs" or not target.startswith("uploads/"):
            return error_answer(405, "UNSUPPORTED")
        query = dict(parse_qsl(request.query))
        if request.method == "POST":
            return await self._start(request, name, query)
        upload = self._running.get(upload_id)
        if upload is None:
            return error_answer(404, "BLOB_UPLOAD_UNKNOWN")
        if request.method == "GET":
            status = _progress(name, upload_id, upload)
            return Outgoing(204, status.headers)
        place = request.headers.get("content-range")
        if place is not None and place.partition("-")[0] != str(upload.size):
            return error_answer(416, "BLOB_UPLOAD_INVALID")
        await _receive(request, upload, fault.cut_request_after_bytes)
        if request.method == "PATCH":
            return _progress(name, upload_id, upload)
        return self._finish(name, upload_id, query.get("digest", ""))

    async def _start(self, request: Incoming, name: str, query: dict[str, str]) -> Outgoing:
        mounted = query.get("mount", "")
        if mounted and self._shelf.size_of(mounted) is not None:
            return Outgoing(
                201, [("location", f"/v2/{name}/blobs/{mounted}"), ("docker-content-digest", mounted)]
            )
        upload_id = secrets.token_hex(16)
        upload = self._running[upload_id] = self._shelf.new_upload()
        await _receive(request, upload)
        if "digest" in query:
            return self._finish(name, upload_id, query["digest"])
        return _progress(name, upload_id, upload)

    def _finish(self, name: str, upload_id: str, digest: str) -> Outgoing:
        if not self._shelf.commit(self._running.pop(upload_id), digest):
            return error_answer(400, "DIGEST_INVALID")
        return Outgoing(201, [("location", f"/v2/{name}/blobs/{digest}"), ("docker-content-digest", digest)])


async def _receive(request: Incoming, upload: Upload, cut_after_bytes: int | None = None) -> None:
    left = cut_after_bytes
    while piece := await request.receive_body():
        upload.write(piece if left is None else piece[:left])
        if left is not None:
            left -= len(piece)
            if left <= 0:
                raise Cut


def _progress(name: str, upload_id: str, upload: Upload) -> Outgoing:
    location = f"/v2/{name}/blobs/uploads/{upload_id}"
    told = f"0-{max(upload.size - 1, 0)}"
    return Outgoing(202, [("location", location), ("range", told), ("docker-upload-uuid", upload_id)])
