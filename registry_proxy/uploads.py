"""Uploads of blobs: begun, mounted, appended to (in order, in one stream or in chunks), looked at, finished, cancelled.

The digest decides at the end what an upload is. A chunk that does not go where it says is a 416 which tells how far the
upload has come; a chunk of another length than it says is taken back.
"""

from agent.content.digest import Digest
from agent.content.errors import ShoalError
from agent.content.reference import Repository
from agent.http.request import Request
from agent.http.response import Response
from agent.node.uploading import Uploading
from agent.store.uploads import Upload
from registry_proxy.content_range import ChunkRange, parse_chunk_range, received_range
from registry_proxy.errors import ErrorCode, RequestRefused
from registry_proxy.headers import API_VERSION
from registry_proxy.requests import (
    UploadAppend,
    UploadBegin,
    UploadCancel,
    UploadFinish,
    UploadRequest,
    UploadStatus,
)

_NO_BODY = ("Content-Length", "0")


async def answer_upload(uploading: Uploading, wanted: UploadRequest, request: Request) -> Response:
    """Raises ShoalError."""
    match wanted:
        case UploadBegin():
            return await _begin(uploading, wanted, request)
        case UploadStatus():
            async with uploading.using(wanted.repository, wanted.upload) as upload:
                return Response(204, _progress(upload))
        case UploadAppend():
            async with uploading.using(wanted.repository, wanted.upload) as upload:
                await _append(uploading, upload, request)
                return Response(202, [*_progress(upload), _NO_BODY])
        case UploadFinish():
            async with uploading.using(wanted.repository, wanted.upload) as upload:
                await _append(uploading, upload, request)
                await uploading.finish(upload, wanted.digest)
                return _created(wanted.repository, wanted.digest)
        case UploadCancel():
            async with uploading.using(wanted.repository, wanted.upload) as upload:
                uploading.cancel(upload)
                return Response(204, [API_VERSION])


async def _begin(uploading: Uploading, wanted: UploadBegin, request: Request) -> Response:
    if wanted.digest is not None:
        return await _take_whole(uploading, wanted.repository, wanted.digest, request)
    mount = wanted.mount
    if mount is not None and await uploading.mount(wanted.repository, mount, wanted.origin):
        return _created(wanted.repository, mount)
    return Response(202, [*_progress(await uploading.begin(wanted.repository)), _NO_BODY])


async def _take_whole(
    uploading: Uploading, repository: Repository, digest: Digest, request: Request
) -> Response:
    """One request, one blob: nobody can go on with what is left of a failure, so nothing is."""
    begun = await uploading.begin(repository)
    async with uploading.using(repository, begun.id) as upload:
        done = False
        try:
            await uploading.receive(upload, request.receive_body_some)
            await uploading.finish(upload, digest)
            done = True
        finally:
            if not done:
                _forget(uploading, upload)
    return _created(repository, digest)


def _forget(uploading: Uploading, upload: Upload) -> None:
    try:
        uploading.cancel(upload)
    except ShoalError:
        pass  # it expires


async def _append(uploading: Uploading, upload: Upload, request: Request) -> None:
    told = request.headers.get("content-range")
    chunk = None if told is None else parse_chunk_range(told)
    before = upload.size
    if chunk is not None:
        _check_place(upload, chunk, request)
    received = await uploading.receive(upload, request.receive_body_some)
    if chunk is not None and received != chunk.length:
        await uploading.cut(upload, before)
        raise RequestRefused(
            f"Content-Range promises {chunk.length} bytes, {received} came", ErrorCode.SIZE_INVALID
        )


def _check_place(upload: Upload, chunk: ChunkRange, request: Request) -> None:
    if chunk.start != upload.size:
        raise RequestRefused(
            f"the chunk begins at {chunk.start}, the upload has {upload.size} bytes",
            ErrorCode.BLOB_UPLOAD_INVALID,
            416,
            tuple(_progress(upload)[1:]),
        )
    length = request.headers.get("content-length")
    if length is not None and int(length) != chunk.length:
        raise RequestRefused(
            f"Content-Range promises {chunk.length} bytes, Content-Length {length}", ErrorCode.SIZE_INVALID
        )


def _progress(upload: Upload) -> list[tuple[str, str]]:
    return [
        API_VERSION,
        ("Location", f"/v2/{upload.repository.name}/blobs/uploads/{upload.id}"),
        ("Range", received_range(upload.size)),
        ("Docker-Upload-UUID", upload.id),
    ]


def _created(repository: Repository, digest: Digest) -> Response:
    headers = [
        API_VERSION,
        ("Location", f"/v2/{repository.name}/blobs/{digest}"),
        ("Docker-Content-Digest", str(digest)),
        _NO_BODY,
    ]
    return Response(201, headers)
