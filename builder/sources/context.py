"""`BuildContext`: the files that COPY and ADD take from, and the Dockerfile: from a directory, a tar, git, or a URL.

Invariant: nothing outside of `root` is ever read as the context's. The ignore patterns are those of
`<Dockerfile>.dockerignore` where it is there, else of `.dockerignore`; they govern the main context alone.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, cast

import trio

from agent.content.errors import InputError
from builder.dockerfile.ignore import IgnorePatterns
from builder.layers.archives import unpack_archive
from builder.plan.git_reference import parse_git_context
from builder.plan.steps import GitSource, UrlFile
from builder.run.root_path import path_in_root
from builder.sources.git import checkout, commit_time, remove_git_directories
from builder.sources.url import download

MAX_DOCKERFILE_BYTES = 16 * 1024 * 1024
_NAME = "context"
_IGNORE = ".dockerignore"
_MAX_IGNORE_BYTES = 4 * 1024 * 1024
_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")


@dataclass(frozen=True, slots=True)
class BuildContext:
    """root: an absolute directory. dockerfile: its content, and how messages name it; None for a named context.

    modified_at: seconds since 1970, of a commit or what a server tells; None where nothing tells.
    """

    root: Path
    ignore: IgnorePatterns
    dockerfile: bytes | None = None
    dockerfile_name: str = "Dockerfile"
    modified_at: int | None = None


@dataclass(frozen=True, slots=True)
class _Opened:
    """root: of the context, or the Dockerfile that a URL is."""

    root: Path | bytes
    modified_at: int | None = None


def _standard_input() -> BinaryIO:
    return cast(BinaryIO, open(0, "rb", buffering=0, closefd=False))


@dataclass(frozen=True, slots=True)
class ContextRequest:
    """where: a directory, `-`, a git or http(s) URL. file: of the Dockerfile, `-` standard input, None the usual name.

    new_directory: an empty one of this build, for what must be fetched or unpacked. stdin: unbuffered, since a thread
    may still wait in it when the process ends. owner: of what is unpacked, None for what the tar says, which root can.
    """

    where: str
    file: str | None
    new_directory: Callable[[str], Path]
    environment: dict[str, str]
    stdin: BinaryIO = field(default_factory=_standard_input)
    owner: tuple[int, int] | None = None


async def open_context(request: ContextRequest) -> BuildContext:
    """The main context, with its Dockerfile. Raises InputError, SourceError, ContentError, DiskError."""
    if request.where == "-":
        if request.file == "-":
            raise InputError("standard input can be the context or the Dockerfile, not both")
        return await _from_standard_input(request)
    local = await trio.to_thread.run_sync(_of_directory, request, abandon_on_cancel=True)
    if local is not None:
        return local
    opened = await _remote(request.where, request)
    if isinstance(opened.root, bytes):  # a URL of a Dockerfile alone
        empty = request.new_directory(_NAME)
        return BuildContext(empty, IgnorePatterns(), opened.root, modified_at=opened.modified_at)
    context = await trio.to_thread.run_sync(
        lambda: _with_dockerfile(cast(Path, opened.root), request, fetched=True), abandon_on_cancel=True
    )
    return replace(context, modified_at=opened.modified_at)


async def open_named_context(where: str, request: ContextRequest) -> BuildContext:
    """`--build-context NAME=WHERE` of a directory, git or URL. Raises InputError, SourceError, DiskError."""
    root = await trio.to_thread.run_sync(_directory, where)
    if root is not None:
        return BuildContext(root, IgnorePatterns())
    remote = (await _remote(where, request)).root
    if isinstance(remote, bytes):
        raise InputError(f"{where} is neither a directory nor a tar")
    return BuildContext(remote, IgnorePatterns())


async def _from_standard_input(request: ContextRequest) -> BuildContext:
    if request.stdin.isatty():
        raise InputError("requested the context from standard input, but it is a terminal: name a directory")
    return await trio.to_thread.run_sync(_read_standard_input, request, abandon_on_cancel=True)


def _read_standard_input(request: ContextRequest) -> BuildContext:
    head = _up_to(512, request.stdin)
    if _looks_like_tar(head):
        root = request.new_directory(_NAME)
        unpack_archive(_reader(head, request.stdin), root, owner=request.owner)
        return _with_dockerfile(root, request, fetched=True)
    if request.file is not None:
        raise InputError("the context on standard input is no tar: -f names a file in it")
    empty = request.new_directory(_NAME)
    return BuildContext(empty, IgnorePatterns(), _dockerfile(request.stdin, head))


def _of_directory(request: ContextRequest) -> BuildContext | None:
    """None where the context is somewhere else."""
    root = _directory(request.where)
    return None if root is None else _with_dockerfile(root, request, fetched=False)


def _directory(where: str) -> Path | None:
    if not where or not Path(where).is_dir():
        return None
    try:
        return Path(where).resolve()
    except FileNotFoundError:
        raise InputError("the working directory was removed: change into one that is there") from None


async def _remote(where: str, request: ContextRequest) -> _Opened:
    if (git := parse_git_context(where)) is not None:
        return await _git_root(git, request)
    if where.startswith(("http://", "https://")):
        file = await download(UrlFile(where, file_name="downloaded"), request.new_directory(_NAME))
        modified_at = int((await trio.Path(file).stat()).st_mtime)
        return _Opened(await trio.to_thread.run_sync(_downloaded_root, file, request), modified_at or None)
    raise InputError(
        f"unable to prepare context: path {where!r} is neither a directory nor the URL of a git repository or a tar"
    )


async def _git_root(source: GitSource, request: ContextRequest) -> _Opened:
    root = request.new_directory(_NAME)
    await checkout(replace(source, keep_git_dir=True), root, request.environment)
    modified_at = await commit_time(root, request.environment)
    await trio.to_thread.run_sync(remove_git_directories, root)
    return _Opened(_inside(root, source), modified_at)


def _inside(root: Path, source: GitSource) -> Path:
    inside = (root / source.subdirectory.strip("/")).resolve()
    if not inside.is_relative_to(root.resolve()) or not inside.is_dir():
        raise InputError(f"{source.url}: there is no directory {source.subdirectory!r} in it")
    return inside


def _downloaded_root(file: Path, request: ContextRequest) -> Path | bytes:
    with file.open("rb") as opened:
        head = opened.read(512)
        if not _looks_like_tar(head):
            return _dockerfile(opened, head)
        root = request.new_directory(_NAME)
        unpack_archive(_reader(head, opened), root, owner=request.owner)
    file.unlink()
    return root


def _with_dockerfile(root: Path, request: ContextRequest, *, fetched: bool) -> BuildContext:
    """Of Docker: `-f` is relative to where the command runs; the usual one stands at the context's root. fetched: not a
    directory of this machine."""
    # a stranger's links lead to no file of this machine
    usual = path_in_root(root, _IGNORE) if fetched else root / _IGNORE
    if request.file == "-":
        return BuildContext(root, _ignore([usual]), _dockerfile(request.stdin))
    if fetched:
        name = _fetched_dockerfile(root, request.file)
        path, own = path_in_root(root, name), path_in_root(root, f"{name}{_IGNORE}")
    else:
        path = _local_dockerfile(root, request.file)
        own = path.with_name(f"{path.name}{_IGNORE}")
    shown = Path(request.file or path.name).name
    return BuildContext(root, _ignore([own, usual]), _read(path, MAX_DOCKERFILE_BYTES), shown)


def _fetched_dockerfile(root: Path, file: str | None) -> str:
    """Raises InputError where it is not there."""
    for name in ("Dockerfile", "dockerfile") if file is None else (file,):
        if path_in_root(root, name).exists():
            return name
    raise InputError(f"the context has no {file or 'Dockerfile'}: -f names another file of it")


def _local_dockerfile(root: Path, file: str | None) -> Path:
    if file is not None:
        path, inside = Path(file), root / file
        return inside if not path.exists() and inside.exists() else path
    path = root / "Dockerfile"
    return root / "dockerfile" if not path.exists() and (root / "dockerfile").exists() else path


def _dockerfile(file: BinaryIO, head: bytes = b"") -> bytes:
    body = head + _up_to(MAX_DOCKERFILE_BYTES + 1, file)
    if len(body) > MAX_DOCKERFILE_BYTES:
        raise InputError(f"the Dockerfile has more than {MAX_DOCKERFILE_BYTES} bytes: is it one?")
    return body


def _up_to(limit_bytes: int, file: BinaryIO) -> bytes:
    """A pipe gives what it has, not what was asked for."""
    body = bytearray()
    while len(body) < limit_bytes and (piece := file.read(limit_bytes - len(body))):
        body += piece
    return bytes(body)


def _ignore(paths: Iterable[Path]) -> IgnorePatterns:
    """Of the first that is there."""
    for path in paths:
        if path.is_file():
            return IgnorePatterns.parse(_read(path, _MAX_IGNORE_BYTES))
    return IgnorePatterns()


def _read(path: Path, limit_bytes: int) -> bytes:
    try:
        with path.open("rb") as file:
            body = file.read(limit_bytes + 1)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    if len(body) > limit_bytes:
        raise InputError(f"{path} has more than {limit_bytes} bytes")
    return body


def _looks_like_tar(head: bytes) -> bool:
    """Its first bytes: a tar's magic word, or those of a compression; a Dockerfile is text."""
    return head[257:262] == b"ustar" or head.startswith(_COMPRESSED)


def _reader(head: bytes, file: BinaryIO) -> Callable[[int], bytes]:
    rest = head

    def read(limit_bytes: int) -> bytes:
        nonlocal rest
        if rest:
            piece, rest = rest[:limit_bytes], rest[limit_bytes:]
            return piece
        return file.read(limit_bytes)

    return read
