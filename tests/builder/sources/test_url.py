"""Files from http URLs, as ADD takes them."""

import base64
import hashlib
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import pytest

from agent.content.errors import ContentError, InputError, ShoalError, SourceError
from builder.plan.steps import UrlFile
from builder.sources.url import download

BODY = b"what is served"


class Handler(http.server.BaseHTTPRequestHandler):
    asked: ClassVar[list[tuple[str, str | None]]] = []

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers.get("Authorization")))
        if self.path.startswith("/to?"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/to?"))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if self.path.startswith("/missing"):
            self.send_error(404)
            return
        self.send_response(200)
        short = self.path.startswith("/short")
        self.send_header("Content-Length", str(len(BODY) + (5 if short else 0)))
        if self.path.startswith("/dated"):
            self.send_header("Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT")
        if self.path.startswith("/named"):
            self.send_header("Content-Disposition", 'attachment; filename="../told.txt"')
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with _served() as url:
        yield url


@contextmanager
def _served() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.server_port}"
        finally:
            listening.shutdown()
            thread.join()


async def test_a_file_has_the_urls_name_mode_0600_and_no_time(server: str, tmp_path: Path) -> None:
    path = await download(UrlFile(f"{server}/a/some%20file.txt?x=/y"), tmp_path)
    status = path.stat()
    assert path.name == "some file.txt"
    assert path.read_bytes() == BODY
    assert (status.st_mode & 0o7777, status.st_mtime) == (0o600, 0)


async def test_a_file_has_the_time_of_last_modified(server: str, tmp_path: Path) -> None:
    path = await download(UrlFile(f"{server}/dated", file_name="x"), tmp_path)
    assert (path.name, path.stat().st_mtime) == ("x", 1445412480)


async def test_a_name_that_the_server_tells_leads_nowhere_else(server: str, tmp_path: Path) -> None:
    path = await download(UrlFile(f"{server}/named"), tmp_path)
    assert path == tmp_path / "told.txt"


async def test_a_checksum_is_compared(server: str, tmp_path: Path) -> None:
    right = f"sha256:{hashlib.sha256(BODY).hexdigest()}"
    await download(UrlFile(f"{server}/a", right), tmp_path)
    with pytest.raises(ContentError, match=f"has the checksum {right}, expected sha256:00"):
        await download(UrlFile(f"{server}/b", f"sha256:{'00' * 32}"), tmp_path)


@pytest.mark.parametrize(
    ("path", "kind", "words"),
    [
        ("/missing", SourceError, "the server answers 404"),
        ("/short", SourceError, f"broke off after {len(BODY)} of {len(BODY) + 5} bytes"),
    ],
)
async def test_what_cannot_be_read_is_a_clear_error(
    server: str, tmp_path: Path, path: str, kind: type[ShoalError], words: str
) -> None:
    with pytest.raises(kind, match=words):
        await download(UrlFile(f"{server}{path}"), tmp_path)


async def test_user_and_password_go_to_their_server_and_along_no_redirect_to_another(
    server: str, tmp_path: Path
) -> None:
    Handler.asked.clear()
    basic = f"Basic {base64.b64encode(b'me:s3cr:t@').decode()}"
    with _served() as other:
        host = server.removeprefix("http://")
        path = await download(UrlFile(f"http://me:s3cr:t%40@{host}/to?/to?{other}/file"), tmp_path)
    assert path.read_bytes() == BODY
    assert Handler.asked == [
        (f"/to?/to?{other}/file", basic),
        (f"/to?{other}/file", basic),
        ("/file", None),
    ]


@pytest.mark.parametrize("user", ["me:s3cret", "s3cret", "me:s3cret/x", "me:s3cret?x", "[:s3cret"])
async def test_no_message_has_a_password(server: str, tmp_path: Path, user: str) -> None:
    with pytest.raises(ShoalError) as caught:
        await download(UrlFile(f"http://{user}@{server.removeprefix('http://')}/missing"), tmp_path)
    assert "s3c" not in str(caught.value)


async def test_another_scheme_and_a_silent_server_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="neither http nor https"):
        await download(UrlFile("file:///etc/passwd"), tmp_path)
    with pytest.raises(SourceError, match=r"cannot read http://127\.0\.0\.1:1/"):
        await download(UrlFile("http://127.0.0.1:1/x"), tmp_path)
