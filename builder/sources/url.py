"""`download`: a file from an http or https URL: for ADD, and for a build context that is a URL.

Invariant: a file that is there is whole: of the length that was promised, and of the checksum that was asked for. It
has mode 0600 and the time of Last-Modified, else 0, as BuildKit gives it.
"""

import hashlib
import http.client
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from email.utils import parsedate_to_datetime
from pathlib import Path

import trio

from agent.content.errors import ContentError, InputError, SourceError
from agent.content.redaction import redact
from agent.store.disk_errors import disk_errors
from agent.version import VERSION
from builder.plan.steps import UrlFile

_SILENCE_SECONDS = 60.0
_PIECE_BYTES = 1024 * 1024
_FILE_NAME = re.compile(r"filename\*?=(?:UTF-8'')?\"?([^\";]+)\"?", re.IGNORECASE)


async def download(wanted: UrlFile, directory: Path) -> Path:
    """The file, in `directory`, under the name that it has to get in a destination directory.

    Raises InputError for a URL that is neither http nor https, SourceError, ContentError where the checksum is another,
    DiskError.
    """
    if urllib.parse.urlsplit(wanted.url).scheme.lower() not in ("http", "https"):
        raise InputError(f"{redact(wanted.url)[:200]!r} is neither http nor https")
    return await trio.to_thread.run_sync(_download, wanted, directory, abandon_on_cancel=True)


def _download(wanted: UrlFile, directory: Path) -> Path:
    request = urllib.request.Request(wanted.url, headers={"User-Agent": f"shoal/{VERSION}"})
    shown = redact(wanted.url)
    try:
        with urllib.request.urlopen(request, timeout=_SILENCE_SECONDS) as answer:
            path = directory / (wanted.file_name or _file_name(wanted.url, answer.headers))
            _receive(answer, path, wanted)
            modified = _modified(answer.headers.get("Last-Modified"))
            os.utime(path, (modified, modified))
    except urllib.error.HTTPError as error:
        error.close()
        raise SourceError(f"{shown}: the server answers {error.code} {error.reason}") from None
    except (
        urllib.error.URLError,
        http.client.HTTPException,
        TimeoutError,
        ConnectionError,
        ValueError,
    ) as error:
        reason = getattr(error, "reason", error)
        raise SourceError(f"cannot read {shown}: {getattr(reason, 'strerror', None) or reason}") from None
    return path


def _receive(answer: http.client.HTTPResponse, path: Path, wanted: UrlFile) -> None:
    algorithm, _, expected = (wanted.checksum or "sha256:").partition(":")
    try:
        hasher = hashlib.new(algorithm)
    except ValueError:
        raise InputError(f"checksum {wanted.checksum!r}: expected sha256:HEX") from None
    length, got = answer.headers.get("Content-Length"), 0
    with disk_errors(f"write {path.name}", path.parent):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(fd, "wb", buffering=0) as file:
        while piece := answer.read(_PIECE_BYTES):
            with disk_errors(f"write {path.name}", path.parent):
                file.write(piece)
            hasher.update(piece)
            got += len(piece)
    if length is not None and got != int(length):
        raise SourceError(f"{redact(wanted.url)} broke off after {got} of {length} bytes")
    if expected and hasher.hexdigest() != expected.lower():
        raise ContentError(
            f"{redact(wanted.url)} has the checksum {algorithm}:{hasher.hexdigest()}, expected {wanted.checksum}"
        )


def _file_name(url: str, headers: http.client.HTTPMessage) -> str:
    """As BuildKit: Content-Disposition's, else the last part of the path, else `download`."""
    match = _FILE_NAME.search(headers.get("Content-Disposition") or "")
    told = urllib.parse.unquote(match[1]) if match else urllib.parse.unquote(urllib.parse.urlsplit(url).path)
    name = told.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return name if name not in ("", ".", "..") and "\0" not in name else "download"


def _modified(header: str | None) -> float:
    try:
        return 0.0 if header is None else max(parsedate_to_datetime(header).timestamp(), 0.0)
    except (ValueError, OverflowError):
        return 0.0
