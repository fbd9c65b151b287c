"""GET and HEAD of manifests: by tag through the tag policy, by digest from what is known.

The bytes and their media type are the registry's own: never converted, whatever Accept says (a client that asks for
what we do not have gets what there is, as from every registry).
"""

from agent.content.digest import Digest
from agent.content.document import Descriptor
from agent.content.reference import Repository
from agent.content.stored import Resolved
from agent.http.request import Request
from agent.http.response import Response
from registry_proxy.headers import content_headers, is_known
from registry_proxy.images import Images

_STALE = ("Warning", '110 - "Response is Stale"')


async def answer_manifest(
    images: Images, repository: Repository, target: str | Digest, request: Request
) -> Response:
    """Raises ShoalError. A HEAD of a tag needs the descriptor alone, so no document is fetched for it."""
    if isinstance(target, Digest):
        resolved = None
        document = await images.get_document(repository, target)
        return _response(request, document.descriptor, document.body, resolved)
    resolved = await images.resolve(repository, target)
    descriptor = resolved.descriptor
    if request.method == "HEAD" or is_known(request.headers, descriptor.digest):
        return _response(request, descriptor, b"", resolved)
    document = await images.get_document(repository, descriptor.digest)
    return _response(request, document.descriptor, document.body, resolved)


def _response(request: Request, descriptor: Descriptor, body: bytes, resolved: Resolved | None) -> Response:
    headers = content_headers(descriptor.digest, descriptor.media_type)
    if resolved is not None and resolved.stale:
        headers.append(_STALE)
    if is_known(request.headers, descriptor.digest):
        return Response(304, headers)
    headers.append(("Content-Length", str(descriptor.size)))
    return Response(200, headers, body)
