"""A fake upstream registry: HTTP/1.1 on plain trio sockets, its content in memory, faults and authentication to choose.

    async with open_upstream(auth=DOCKER_HUB) as upstream:
        image = upstream.add_image("library/app", layers=[b"..."])
        upstream.faults.add(Fault(cut_after_bytes=1000), match="/blobs/", times=1)
        ... upstream.url, upstream.requests ...

A second listener plays the CDN or S3 that blobs are redirected to (`redirects_blobs=True`): it refuses requests that
carry Authorization with 400, and its signed URLs expire. What it serves, how it can fail and how it asks for
credentials are in upstream_content, upstream_faults and upstream_auth. It depends on nothing of Shoal but the
vocabulary of agent.content. As a process: python -m tests.fakes.upstream --help.
"""

import itertools
import re
import secrets
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import parse_qsl

import trio

from agent.content.digest import Digest
from agent.content.errors import InputError
from tests.fakes.upstream_auth import AuthStyle, Gate
from tests.fakes.upstream_connection import Connection, Cut, Incoming, Outgoing, error_answer, json_answer
from tests.fakes.upstream_content import FakeImage, Shelf
from tests.fakes.upstream_faults import Fault, Faults
from tests.fakes.upstream_push import Uploads

__all__ = ["FakeImage", "FakeUpstream", "Fault", "Recorded", "open_upstream"]

_ROUTE = re.compile(r"/v2/(?P<name>.+?)/(?P<kind>manifests|blobs|tags)/(?P<target>.*)")
_RANGE = re.compile(r"bytes=([0-9]*)-([0-9]*)")
_PIECE_BYTES = 256 * 1024


@dataclass
class Recorded:
    """A request as it was answered; `bytes_sent` counts body bytes and grows while they go out."""

    server: str
    method: str
    path: str
    query: str
    headers: dict[str, str]
    client: tuple[str, int]
    status: int = 0
    bytes_sent: int = 0

    @property
    def range(self) -> str | None:
        return self.headers.get("range")

    @property
    def authorization(self) -> str | None:
        return self.headers.get("authorization")


class FakeUpstream:
    """See the module's docstring. Everything is switchable at any time."""

    def __init__(self, shelf: Shelf, auth: AuthStyle | None, redirects_blobs: bool) -> None:
        self.shelf = shelf
        self.gate = Gate(auth)
        self.faults = Faults()
        self.requests: list[Recorded] = []
        self.redirects_blobs = redirects_blobs
        self.redirect_base: str | None = None
        """what stands in redirects in place of the CDN's own URL"""
        self.signed_seconds = 60.0
        self.supports_ranges = True
        self.tells_digest = True
        self.supports_head = True
        self.bytes_per_second: float | None = None
        """of all responses together"""
        self.headers: dict[str, str] = {}
        """added to every answer of the registry"""
        self.on_request: Callable[[Recorded], None] = lambda record: None
        """called once the answer is out, or broken off"""
        self.url = ""
        self.cdn_url = ""
        self._signatures: dict[str, float] = {}
        self._uploads = Uploads(shelf)
        self._free_at = 0.0

    def add_image(self, *args: object, **kwargs: object) -> FakeImage:
        """As Shelf.add_image."""
        return self.shelf.add_image(*args, **kwargs)  # type: ignore[arg-type]

    @property
    def host(self) -> str:
        """`host:port`, as it stands in references."""
        return self.url.partition("//")[2]

    def close(self) -> None:
        """Forget the uploads that were broken off."""
        self._uploads.close()

    def asked(
        self, match: str = "", *, method: str | None = None, server: str | None = None
    ) -> list[Recorded]:
        """The requests whose path contains `match`."""
        return [
            record
            for record in self.requests
            if match in record.path and method in (None, record.method) and server in (None, record.server)
        ]

    def bytes_sent(self, match: str = "") -> int:
        return sum(record.bytes_sent for record in self.asked(match))

    # --- answering ---------------------------------------------------------------------------------------------

    async def serve(self, server: str, stream: trio.abc.Stream, client: tuple[str, int]) -> None:
        fault = Fault()
        record: Recorded | None = None

        async def respond(request: Incoming) -> Outgoing:
            nonlocal fault, record
            fault = self.faults.take(server, request.method, request.path)
            record = Recorded(
                server, request.method, request.path, request.query, request.headers, request.client
            )
            self.requests.append(record)
            if fault.stall_before_answer:
                await trio.sleep_forever()
            if fault.status is not None or fault.redirect is not None:
                outgoing = _faulty(fault)
            else:
                outgoing = await (self._cdn if server == "cdn" else self._registry)(request, fault)
            outgoing = _spoil(outgoing, fault)
            record.status = outgoing.status
            return outgoing

        async def send(connection: Connection, request: Incoming, outgoing: Outgoing) -> None:
            assert record is not None
            try:
                await connection.send_head(outgoing)
                if request.method != "HEAD":
                    await self._send_body(connection, outgoing, fault, record)
                await connection.send_end()
            finally:
                self.on_request(record)

        await Connection(stream, client).serve(respond, send)

    async def _send_body(
        self, connection: Connection, outgoing: Outgoing, fault: Fault, record: Recorded
    ) -> None:
        sent = 0
        limits = [n for n in (fault.cut_after_bytes, fault.stall_after_bytes) if n is not None]
        for piece in outgoing.pieces:
            rest = memoryview(piece)
            while rest:
                room = min([n - sent for n in limits], default=len(rest))
                if room <= 0:
                    await self._give_up(fault)
                rate = fault.bytes_per_second or self.bytes_per_second
                part = rest[: min(room, len(rest), _PIECE_BYTES if rate is None else max(int(rate / 20), 1))]
                await self._pace(len(part), fault)
                await connection.send_piece(bytes(part))
                sent += len(part)
                record.bytes_sent = sent
                rest = rest[len(part) :]
        if limits and sent >= min(limits):
            await self._give_up(fault)

    async def _give_up(self, fault: Fault) -> None:
        if fault.stall_after_bytes is not None:
            await trio.sleep_forever()
        raise Cut

    async def _pace(self, count: int, fault: Fault) -> None:
        if fault.bytes_per_second is not None:
            await trio.sleep(count / fault.bytes_per_second)
        if self.bytes_per_second is not None:
            self._free_at = max(self._free_at, trio.current_time()) + count / self.bytes_per_second
            await trio.sleep_until(self._free_at)

    async def _registry(self, request: Incoming, fault: Fault) -> Outgoing:
        style = self.gate.style
        if style is not None and style.token_path is not None and request.path == style.token_path:
            return await self._token(request)
        if request.path in ("/v2", "/v2/"):
            admitted = style is None or request.headers.get("authorization") is not None
            return json_answer(200, {}) if admitted else self._refusal("")
        route = _ROUTE.fullmatch(request.path)
        if route is None:
            return error_answer(404, "NAME_UNKNOWN")
        name, kind, target = route["name"], route["kind"], route["target"]
        if not self.gate.admits(request.headers.get("authorization"), name):
            return self._refusal(name)
        if request.method in ("GET", "HEAD") and not target.startswith("uploads/"):
            if kind == "tags":
                return json_answer(200, {"name": name, "tags": sorted(self.shelf.tags.get(name, {}))})
            outgoing = (
                self._manifest(request, name, target)
                if kind == "manifests"
                else self._blob(request, target, fault)
            )
            outgoing.headers.extend(self.headers.items())
            return outgoing
        return await self._uploads.answer(request, name, kind, target, fault)

    async def _token(self, request: Incoming) -> Outgoing:
        if request.method == "POST":
            status, body = self.gate.answer_post(await request.read_body())
        else:
            status, body = self.gate.answer_get(request.headers.get("authorization"), request.query)
        return Outgoing(status, [("content-type", "application/json")], len(body), iter([body]))

    def _refusal(self, repository: str) -> Outgoing:
        outgoing = error_answer(401, "UNAUTHORIZED")
        outgoing.headers += [
            ("www-authenticate", text) for text in self.gate.challenges(self.url, repository)
        ]
        return outgoing

    def _manifest(self, request: Incoming, name: str, target: str) -> Outgoing:
        found = self.shelf.find_manifest(name, target)
        if found is None:
            return error_answer(404, "MANIFEST_UNKNOWN")
        if request.method == "HEAD" and not self.supports_head:
            return error_answer(405, "UNSUPPORTED")
        digest, held = found
        headers = [("content-type", held.media_type)]
        if self.tells_digest:
            headers.append(("docker-content-digest", digest))
        return Outgoing(200, headers, len(held.body), iter([held.body]))

    def _blob(self, request: Incoming, digest: str, fault: Fault) -> Outgoing:
        try:
            size = self.shelf.size_of(str(Digest.parse(digest)))
        except InputError:
            return error_answer(400, "DIGEST_INVALID")
        if size is None:
            return error_answer(404, "BLOB_UNKNOWN")
        if self.redirects_blobs:
            signature = secrets.token_hex(16)
            self._signatures[signature] = trio.current_time() + self.signed_seconds
            base = self.redirect_base or self.cdn_url
            return Outgoing(307, [("location", f"{base}/data/{digest}?X-Amz-Signature={signature}")])
        return self._bytes(request, digest, size, fault)

    async def _cdn(self, request: Incoming, fault: Fault) -> Outgoing:
        if "authorization" in request.headers:
            return error_answer(400, "InvalidArgument")
        signature = dict(parse_qsl(request.query)).get("X-Amz-Signature", "")
        if self._signatures.get(signature, 0.0) <= trio.current_time():
            return error_answer(403, "AccessDenied")
        digest = request.path.rpartition("/")[2]
        size = self.shelf.size_of(digest)
        return error_answer(404, "NoSuchKey") if size is None else self._bytes(request, digest, size, fault)

    def _bytes(self, request: Incoming, digest: str, size: int, fault: Fault) -> Outgoing:
        headers = [("content-type", "application/octet-stream"), ("docker-content-digest", digest)]
        wanted = request.headers.get("range") if self.supports_ranges and not fault.ignore_range else None
        span = _span(wanted, size) if wanted else None
        if wanted and span is None:
            return Outgoing(416, [("content-range", f"bytes */{size}")])
        start, stop = span or (0, size)
        if span and fault.range_limit_bytes is not None:
            stop = min(stop, start + fault.range_limit_bytes)
        if span:
            headers.append(("content-range", f"bytes {start}-{stop - 1}/{size}"))
        return Outgoing(206 if span else 200, headers, stop - start, self._pieces(digest, start, stop))

    def _pieces(self, digest: str, start: int, stop: int) -> Iterator[bytes]:
        for offset in range(start, stop, _PIECE_BYTES):
            yield self.shelf.read(digest, offset, min(offset + _PIECE_BYTES, stop))


def _span(header: str, size: int) -> tuple[int, int] | None:
    """(start, stop) of a single range; the whole content for what is not one; None for 416."""
    match = _RANGE.fullmatch(header)
    if match is None or match[1] == match[2] == "":
        return 0, size
    if not match[1]:
        return (max(size - int(match[2]), 0), size) if int(match[2]) and size else None
    start, stop = int(match[1]), min(int(match[2]) + 1 if match[2] else size, size)
    return (start, stop) if start < stop else None


def _faulty(fault: Fault) -> Outgoing:
    if fault.redirect is not None:
        return Outgoing(fault.status or 307, [("location", fault.redirect)])
    body = fault.body or b""
    headers = [("retry-after", fault.retry_after)] if fault.retry_after else []
    return Outgoing(fault.status or 500, headers, len(body), iter([body]))


def _spoil(outgoing: Outgoing, fault: Fault) -> Outgoing:
    """The response with the fault's changes to head and body."""
    dropped = {name.lower() for name in fault.without_headers} | {name.lower() for name in fault.headers}
    headers = [(name, value) for name, value in outgoing.headers if name not in dropped]
    headers += fault.headers.items()
    if fault.content_range is not None:
        headers = [(name, value) for name, value in headers if name != "content-range"]
        headers.append(("content-range", fault.content_range))
    outgoing.headers = headers
    if outgoing.status >= 300:
        return outgoing
    if fault.body is not None:
        outgoing.pieces, outgoing.length = iter([fault.body]), len(fault.body)
    if fault.wrong_bytes:
        outgoing.pieces = (bytes([piece[0] ^ 1]) + piece[1:] for piece in outgoing.pieces if piece)
    if fault.empty:
        outgoing.pieces, outgoing.length = iter(()), 0
    if fault.short_by_bytes:
        whole = b"".join(outgoing.pieces)[: -fault.short_by_bytes]
        outgoing.pieces, outgoing.length = iter([whole]), len(whole)
    if fault.endless:
        outgoing.pieces, outgoing.length = itertools.cycle(list(outgoing.pieces)), None
    if fault.chunked:
        outgoing.length = None
    return outgoing


@asynccontextmanager
async def open_upstream(
    *,
    auth: AuthStyle | None = None,
    redirects_blobs: bool = False,
    directory: Path | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    tls: ssl.SSLContext | None = None,
    tls_name: str | None = None,
) -> AsyncIterator[FakeUpstream]:
    """Listening until the block ends. With `tls` the registry (not the CDN) is https, under `tls_name` if given."""
    upstream = FakeUpstream(Shelf(directory), auth, redirects_blobs)
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        for server in ("registry", "cdn"):
            listeners = await trio.open_tcp_listeners(port if server == "registry" else 0, host=host)
            bound = listeners[0].socket.getsockname()[1]
            context = tls if server == "registry" else None
            url = f"{'https' if context else 'http'}://{(tls_name if context else None) or host}:{bound}"
            if server == "registry":
                upstream.url = url
            else:
                upstream.cdn_url = url
            nursery.start_soon(
                trio.serve_listeners, partial(_serve_one, upstream, server, context), listeners
            )
        try:
            yield upstream
        except Exception as error:  # noqa: BLE001 -- raised again below, outside of the nursery's group
            failure = error
        nursery.cancel_scope.cancel()
    upstream.close()
    if failure is not None:
        raise failure


async def _serve_one(
    upstream: FakeUpstream, server: str, context: ssl.SSLContext | None, stream: trio.SocketStream
) -> None:
    client = stream.socket.getpeername()
    secured: trio.abc.Stream = stream
    if context is not None:
        secured = trio.SSLStream(stream, context, server_side=True, https_compatible=True)
    await upstream.serve(server, secured, (client[0], client[1]))


if __name__ == "__main__":
    from tests.fakes.upstream_process import main

    main()
