"""Manifests that are pushed, and what is deleted. What makes a manifest acceptable is the node's to say."""

from agent.content.digest import Digest
from agent.content.document import MAX_PUSHED_DOCUMENT_BYTES
from agent.http.request import BodyTooLarge, Request
from agent.http.response import Response
from registry_proxy.errors import ErrorCode, RequestRefused
from registry_proxy.headers import API_VERSION
from registry_proxy.pushes import PushSide
from registry_proxy.requests import BlobDelete, Change, ManifestDelete, ManifestPush

_NO_BODY = ("Content-Length", "0")


async def answer_change(side: PushSide, wanted: Change, request: Request) -> Response:
    """Raises ShoalError."""
    match wanted:
        case ManifestPush():
            return await _push(side, wanted, request)
        case ManifestDelete(repository, Digest() as digest):
            _check_allowed(side.deletes.manifests, "manifests", ("GET", "HEAD", "PUT"))
            await side.manifests.delete_manifest(repository, digest)
        case ManifestDelete(repository, str() as tag):
            _check_allowed(side.deletes.tags, "tags", ("GET", "HEAD", "PUT"))
            await side.manifests.delete_tag(repository, tag)
        case BlobDelete(repository, digest):
            _check_allowed(side.deletes.blobs, "blobs", ("GET", "HEAD"))
            await side.manifests.delete_blob(repository, digest)
    return Response(202, [API_VERSION, _NO_BODY])


async def _push(side: PushSide, wanted: ManifestPush, request: Request) -> Response:
    try:
        body = await request.read_body(MAX_PUSHED_DOCUMENT_BYTES)
    except BodyTooLarge as error:
        raise RequestRefused(str(error), ErrorCode.SIZE_INVALID, 413) from None
    content_type = request.headers.get("content-type")
    accepted = await side.manifests.push(wanted.repository, wanted.digest, wanted.tags, body, content_type)
    headers = [
        API_VERSION,
        ("Location", f"/v2/{wanted.repository.name}/manifests/{accepted.digest}"),
        ("Docker-Content-Digest", str(accepted.digest)),
        _NO_BODY,
    ]
    if accepted.subject is not None:
        headers.append(("OCI-Subject", str(accepted.subject)))
    headers += [("OCI-Tag", tag) for tag in wanted.tags]
    return Response(201, headers)


def _check_allowed(allowed: bool, what: str, methods: tuple[str, ...]) -> None:
    if not allowed:
        raise RequestRefused(
            f"deleting {what} is off on this node: push.delete_{what} = true allows it",
            ErrorCode.UNSUPPORTED,
            405,
            (("Allow", ", ".join(methods)),),
        )
