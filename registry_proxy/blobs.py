"""GET and HEAD of blobs: whole, by range, by several ranges, while the download still runs.

The head leaves once the size is known; bytes leave as the verified prefix grows. A failure that shows within
FIRST_BYTE_SECONDS becomes an honest status, a later one breaks the connection: clients then ask again from where they
are, or elsewhere, but never take a short body for a whole one. Blobs are never content-encoded: the digest is that of
the bytes on the wire.
"""

from contextlib import AsyncExitStack

import trio

from agent.content.digest import Digest
from agent.content.media_types import OCTET_STREAM
from agent.content.reference import Repository
from agent.http.request import Request
from agent.http.response import BodySink, Response
from registry_proxy.headers import content_headers, is_known, range_applies
from registry_proxy.images import BlobReader, Images
from registry_proxy.multipart import MultipartLayout
from registry_proxy.ranges import ByteRange, Partial, Selection, Unsatisfiable, Whole, select_ranges

# containerd gives a mirror 30 s for the head; well before that it goes out, whatever may come after.
FIRST_BYTE_SECONDS = 10.0
_FOREVER = ("Cache-Control", "max-age=31536000, immutable")


class RangesBody:
    """One stretch of the blob after the other, each with what goes before it on the wire, and a trailer."""

    def __init__(
        self, reader: BlobReader, parts: list[tuple[bytes, ByteRange]], trailer: bytes = b""
    ) -> None:
        self._reader = reader
        self._parts = parts
        self._trailer = trailer
        self.length = sum(len(preamble) + part.length for preamble, part in parts) + len(trailer)
        self._ready: int | None = None

    async def wait_first(self) -> None:
        """Until the first byte is there, for as long as an error can still become a status. Raises ShoalError."""
        if self.length:
            with trio.move_on_after(FIRST_BYTE_SECONDS):
                self._ready = await self._reader.wait_readable(self._parts[0][1].start)

    async def send_to(self, sink: BodySink) -> None:
        if self._ready is None:
            await sink.flush()
        for preamble, part in self._parts:
            await sink.send(preamble)
            await self._send_part(part, sink)
        await sink.send(self._trailer)

    async def _send_part(self, part: ByteRange, sink: BodySink) -> None:
        offset = part.start
        while offset < part.stop:
            ready, self._ready = self._ready or await self._reader.wait_readable(offset), None
            stop = min(ready, part.stop)
            await sink.send_file(self._reader.fd, offset, stop - offset)
            offset = stop


async def answer_blob(images: Images, repository: Repository, digest: Digest, request: Request) -> Response:
    """Raises ShoalError. The reader stays open until the body is sent: it is among the response's resources."""
    headers = content_headers(digest, OCTET_STREAM)
    if is_known(request.headers, digest):
        return Response(304, headers)
    async with AsyncExitStack() as resources:
        reader = await resources.enter_async_context(images.open_blob(repository, digest))
        headers += [("Accept-Ranges", "bytes"), _FOREVER]
        if request.method == "HEAD":  # RFC 9110 14.2: Range is GET's alone
            return Response(200, [*headers, ("Content-Length", str(reader.size))])
        response = _response(reader, digest, headers, _selection(request, digest, reader.size))
        if isinstance(response.body, RangesBody):
            await response.body.wait_first()
            response.resources = resources.pop_all()
        return response


def _selection(request: Request, digest: Digest, size: int) -> Selection:
    asked = request.headers.get_all("range")
    if len(asked) != 1 or not range_applies(request.headers, digest):
        return Whole()
    return select_ranges(asked[0], size)


def _response(
    reader: BlobReader, digest: Digest, headers: list[tuple[str, str]], selection: Selection
) -> Response:
    size = reader.size
    match selection:
        case Whole():
            return Response(200, headers, RangesBody(reader, [(b"", ByteRange(0, size))]))
        case Unsatisfiable():
            return Response(416, [*headers, ("Content-Range", f"bytes */{size}")])
        case Partial((part,)):
            told = ("Content-Range", f"bytes {part.start}-{part.stop - 1}/{size}")
            return Response(206, [*headers, told], RangesBody(reader, [(b"", part)]))
        case Partial(parts):
            layout = MultipartLayout.of(digest, size)
            several = [field for field in headers if field[0] != "Content-Type"]
            body = RangesBody(reader, [(layout.preamble(part), part) for part in parts], layout.trailer)
            return Response(206, [*several, ("Content-Type", layout.content_type)], body)
