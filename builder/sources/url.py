"""`download`: a file from an http or https URL: for ADD, and for a build context that is a URL.

Invariant: a file that is there is whole: of the length that was promised, and of the checksum that was asked for. It
has mode 0600 and the time of Last-Modified, else 0, as BuildKit gives it. What stands before the host's @ goes to that
origin alone, as Basic authorization, and along no redirect to another.
"""

import base64
import hashlib
import http.client
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import IO

import trio

from agent.content.errors import ContentError, InputError, SourceError
from agent.content.redaction import redact
from agent.store.disk_errors import disk_errors
from agent.version import VERSION
from builder.plan.steps import UrlFile

_SILENCE_SECONDS = 60.0
_PIECE_BYTES = 1024 * 1024
_PORTS = {"http": 80, "https": 443}
_FILE_NAME = re.compile(r"filename\*?=(?:UTF-8'')?\"?([^\";]+)\"?", re.IGNORECASE)


async def download(wanted: UrlFile, directory: Path) -> Path:
    """The file, in `directory`, under the name that it has to get in a destination directory.

    Raises InputError for a URL that is neither http nor https, SourceError, ContentError where the checksum is another,
    DiskError.
    """
    address = _Address.of(wanted.url)
    return await trio.to_thread.run_sync(_download, wanted, address, directory, abandon_on_cancel=True)


@dataclass(frozen=True, slots=True)
class _Address:
    """url: without user and password."""

    url: str
    origin: tuple[str, str, int]
    authorization: str | None = field(repr=False)

    @classmethod
    def of(cls, url: str) -> "_Address":
        """Raises InputError, which repeats nothing of a password."""
        try:
            parts = urllib.parse.urlsplit(url)
            scheme, host, port = parts.scheme.lower(), parts.hostname or "", parts.port
        except ValueError:
            raise InputError(f"{redact(url)[:200]!r} is no URL") from None
        if scheme not in ("http", "https"):
            raise InputError(f"{redact(url)[:200]!r} is neither http nor https")
        user, at, place = parts.netloc.rpartition("@")
        origin = (scheme, host, port or _PORTS[scheme])
        return cls(parts._replace(netloc=place).geturl(), origin, _basic(user) if at else None)


def _basic(user: str) -> str | None:
    name, _, password = (urllib.parse.unquote_to_bytes(part) for part in user.partition(":"))
    both = base64.b64encode(name + b":" + password).decode()
    return f"Basic {both}" if name or password else None


class _Redirects(urllib.request.HTTPRedirectHandler):
    """`first`: whose authorization it is."""

    def __init__(self, first: _Address) -> None:
        self._first = first

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        following = super().redirect_request(req, fp, code, msg, headers, newurl)
        if following is None:
            return None
        there = _Address.of(following.full_url)
        same = self._first.authorization if there.origin == self._first.origin else None
        return _request(there.url, there.authorization or same)


def _request(url: str, authorization: str | None) -> urllib.request.Request:
    request = urllib.request.Request(url, headers={"User-Agent": f"shoal/{VERSION}"})
    if authorization is not None:
        request.add_unredirected_header("Authorization", authorization)
    return request


def _download(wanted: UrlFile, address: _Address, directory: Path) -> Path:
    opener = urllib.request.build_opener(_Redirects(address))
    shown = redact(wanted.url)
    try:
        with opener.open(_request(address.url, address.authorization), timeout=_SILENCE_SECONDS) as answer:
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
        told = redact(str(getattr(reason, "strerror", None) or reason))
        raise SourceError(f"cannot read {shown}: {told}") from None
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
