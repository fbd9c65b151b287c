"""Where a build's files and its Dockerfile come from."""

import bz2
import gzip
import io
import lzma
import os
import subprocess
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from tempfile import mkdtemp

import pytest
import trio

from agent.content.errors import ContentError, InputError, SourceError
from builder.sources.context import (
    MAX_DOCKERFILE_BYTES,
    BuildContext,
    ContextRequest,
    open_context,
    open_named_context,
)
from tests.builder.layers.tars import directory, file, symlink, tar_of

BODY = b"FROM scratch\n"


def new_directory(tmp_path: Path) -> Callable[[str], Path]:
    return lambda name: Path(mkdtemp(prefix=name, dir=tmp_path))


def asked(tmp_path: Path, where: str, name: str | None = None, stdin: bytes = b"") -> ContextRequest:
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    return ContextRequest(where, name, new_directory(tmp_path), environment, io.BytesIO(stdin))


async def opened(tmp_path: Path, where: str, name: str | None = None, stdin: bytes = b"") -> BuildContext:
    return await open_context(asked(tmp_path, where, name, stdin))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "context"
    (root / "deploy").mkdir(parents=True)
    (root / "Dockerfile").write_bytes(BODY)
    (root / "deploy/prod.Dockerfile").write_bytes(b"FROM prod\n")
    return root


async def test_a_working_directory_that_was_removed_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(InputError, match="was removed"):
        await opened(tmp_path, ".")


async def test_the_dockerfile_is_in_the_context_or_where_the_command_runs(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await opened(tmp_path, str(root))).dockerfile == BODY
    assert (await opened(tmp_path, str(root), "deploy/prod.Dockerfile")).dockerfile == b"FROM prod\n"
    (tmp_path / "here").write_bytes(b"FROM here\n")
    monkeypatch.chdir(tmp_path)
    assert (await opened(tmp_path, "context", "here")).dockerfile == b"FROM here\n"
    assert (await opened(tmp_path, "context", "-", b"FROM stdin\n")).dockerfile == b"FROM stdin\n"
    (root / "Dockerfile").rename(root / "dockerfile")
    assert (await opened(tmp_path, "context")).dockerfile == BODY


async def test_a_dockerfile_may_be_a_link(tmp_path: Path, root: Path) -> None:
    (root / "Dockerfile").unlink()
    (root / "Dockerfile").symlink_to("deploy/prod.Dockerfile")
    assert (await opened(tmp_path, str(root))).dockerfile == b"FROM prod\n"


async def test_the_dockerfile_s_own_ignore_file_wins(tmp_path: Path, root: Path) -> None:
    (root / ".dockerignore").write_text("usual")
    assert (await opened(tmp_path, str(root))).ignore.matches("usual")
    (root / "deploy/prod.Dockerfile.dockerignore").write_text("own")
    context = await opened(tmp_path, str(root), "deploy/prod.Dockerfile")
    assert context.ignore.matches("own")
    assert not context.ignore.matches("usual")
    assert (await opened(tmp_path, str(root), "-", BODY)).ignore.matches("usual")


async def test_a_named_context_is_not_governed_by_an_ignore_file(tmp_path: Path, root: Path) -> None:
    (root / ".dockerignore").write_text("*")
    context = await open_named_context(str(root), asked(tmp_path, "."))
    assert not context.ignore.matches("a")


@pytest.mark.parametrize(
    ("where", "name", "problem"),
    [
        ("", None, "path '' is neither a directory nor"),
        ("nowhere", None, "path 'nowhere' is neither a directory nor"),
        ("context/Dockerfile", None, "is neither a directory nor"),
        ("context", "none", "cannot read none: No such file"),
        ("context", "deploy", "Is a directory"),
        ("context/deploy", None, "cannot read .*/deploy/Dockerfile"),
        ("-", "-", "standard input can be the context or the Dockerfile, not both"),
    ],
)
async def test_what_is_not_there_is_said(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch, where: str, name: str | None, problem: str
) -> None:
    monkeypatch.chdir(root.parent)
    with pytest.raises(InputError, match=problem):
        await opened(tmp_path, where, name, b"x")


@pytest.mark.parametrize("encode", [bytes, gzip.compress, bz2.compress, lzma.compress])
async def test_a_tar_on_standard_input_is_the_context(
    tmp_path: Path, encode: Callable[[bytes], bytes]
) -> None:
    tar = tar_of(
        [file("Dockerfile", BODY), directory("d"), file("d/x.Dockerfile", b"FROM x\n"), file("a", b"A")]
    )
    context = await opened(tmp_path, "-", stdin=encode(tar))
    assert context.dockerfile == BODY
    assert (context.root / "a").read_bytes() == b"A"
    assert (await opened(tmp_path, "-", "d/x.Dockerfile", encode(tar))).dockerfile == b"FROM x\n"
    assert (await opened(tmp_path, "-", stdin=tar_of([file("dockerfile", BODY)]))).dockerfile == BODY
    with pytest.raises(InputError, match="the context has no d/Dockerfile: -f names another file of it"):
        await opened(tmp_path, "-", "d/Dockerfile", encode(tar))


async def test_a_text_on_standard_input_is_the_dockerfile_and_nothing_else_is_there(tmp_path: Path) -> None:
    context = await opened(tmp_path, "-", stdin=BODY)
    assert context.dockerfile == BODY
    assert list(context.root.iterdir()) == []
    with pytest.raises(InputError, match="is no tar"):
        await opened(tmp_path, "-", "Dockerfile", BODY)
    with pytest.raises(InputError, match="is it one"):
        await opened(tmp_path, "-", stdin=b"#" * (MAX_DOCKERFILE_BYTES + 1))


async def test_a_fetched_context_s_dockerfile_is_its_own(tmp_path: Path) -> None:
    """A link in a stranger's archive leads to no file of this machine; nor does -f."""
    (tmp_path / "secret").write_text("secret")
    for target in (str(tmp_path / "secret"), "../../secret"):
        tar = tar_of([symlink("Dockerfile", target)])
        with pytest.raises(InputError):
            await opened(tmp_path, "-", stdin=tar)
        with pytest.raises(InputError):
            await opened(tmp_path, "-", "../../secret", tar)
        with pytest.raises(InputError):
            await opened(tmp_path, "-", str(tmp_path / "secret"), tar)
    ignoring = tar_of([file("Dockerfile", BODY), symlink(".dockerignore", str(tmp_path / "secret"))])
    assert not (await opened(tmp_path, "-", stdin=ignoring)).ignore.patterns
    inside = tar_of([file("real", BODY), symlink("Dockerfile", "/real")])
    assert (await opened(tmp_path, "-", stdin=inside)).dockerfile == BODY


async def test_a_hostile_tar_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContentError):
        await opened(tmp_path, "-", stdin=tar_of([file("../../out", b"x")]))
    assert not (tmp_path / "out").exists()


async def test_waiting_for_standard_input_can_be_interrupted(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    with open(reading, "rb", buffering=0) as stdin, open(writing, "wb") as silent:
        request = ContextRequest("-", None, new_directory(tmp_path), {}, stdin)
        with trio.move_on_after(0.05) as scope:
            await open_context(request)
        assert scope.cancelled_caught
        silent.close()


_ANSWERS = {
    "/Dockerfile": BODY,
    "/context.tar.gz": gzip.compress(tar_of([file("Dockerfile", b"FROM tar\n"), file("a", b"A")])),
}


class _Files(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = _ANSWERS.get(self.path)
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_: object) -> None:
        pass


async def test_a_url_is_a_tar_or_a_dockerfile(tmp_path: Path) -> None:
    with HTTPServer(("127.0.0.1", 0), _Files) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        try:
            assert (await opened(tmp_path, f"{url}/Dockerfile")).dockerfile == BODY
            context = await opened(tmp_path, f"{url}/context.tar.gz")
            assert context.dockerfile == b"FROM tar\n"
            assert (context.root / "a").read_bytes() == b"A"
            with pytest.raises(SourceError, match="404"):
                await opened(tmp_path, f"{url}/none")
            with pytest.raises(InputError, match="neither a directory nor a tar"):
                await open_named_context(f"{url}/Dockerfile", asked(tmp_path, "."))
        finally:
            server.shutdown()


async def test_a_git_repository_s_directory(tmp_path: Path, root: Path) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    environment = {**os.environ, "HOME": str(tmp_path), "GIT_COMMITTER_DATE": "@86400 +0000"}
    for command in (("init", "-q"), ("add", "."), (*identity, "commit", "-q", "-m", "one")):
        subprocess.run(["git", *command], cwd=root, check=True, env=environment)
    url = f"file://{root}/.git"
    assert (await opened(tmp_path, url)).dockerfile == BODY
    context = await opened(tmp_path, f"{url}#:deploy", "prod.Dockerfile")
    assert context.dockerfile == b"FROM prod\n"
    assert not (context.root / ".git").exists()
    assert context.modified_at == 86400
    for directory_name in ("none", "../../..", "Dockerfile"):
        with pytest.raises(InputError, match="there is no directory"):
            await opened(tmp_path, f"{url}#:{directory_name}")
