"""Errors as clients of a registry read them: OCI codes, their JSON, and which status each failure gets. PURE.

Two rules come from how the engines react. Never 401: an old dockerd answers it by sending the user's Docker Hub
password to whoever asked. Never 429: containerd repeats at once and ignores Retry-After, while 503 makes it go to
the next host. Codes: OCI distribution-spec 1.1 "Error Codes"; UNKNOWN is distribution's own for what is no client's
fault.
"""

import json
import math
from dataclasses import dataclass
from enum import StrEnum

from agent.content.errors import (
    ContentError,
    DiskError,
    InputError,
    NotFound,
    PeerError,
    ShoalError,
    Throttled,
    TrackerError,
    Unauthorized,
)
from agent.node.push_errors import (
    InvalidManifest,
    MissingContent,
    TooFewCopies,
    TooManyUploads,
    UploadBusy,
    UploadUnknown,
    WrongDigest,
)

_MAX_MESSAGE_LENGTH = 1000
_USUAL_RETRY_SECONDS = 5
_MAX_RETRY_SECONDS = 3600


class ErrorCode(StrEnum):
    BLOB_UNKNOWN = "BLOB_UNKNOWN"
    BLOB_UPLOAD_INVALID = "BLOB_UPLOAD_INVALID"
    BLOB_UPLOAD_UNKNOWN = "BLOB_UPLOAD_UNKNOWN"
    MANIFEST_BLOB_UNKNOWN = "MANIFEST_BLOB_UNKNOWN"
    MANIFEST_INVALID = "MANIFEST_INVALID"
    MANIFEST_UNKNOWN = "MANIFEST_UNKNOWN"
    SIZE_INVALID = "SIZE_INVALID"
    NAME_INVALID = "NAME_INVALID"
    NAME_UNKNOWN = "NAME_UNKNOWN"
    DIGEST_INVALID = "DIGEST_INVALID"
    DENIED = "DENIED"
    UNSUPPORTED = "UNSUPPORTED"
    TOOMANYREQUESTS = "TOOMANYREQUESTS"
    UNKNOWN = "UNKNOWN"


class RequestRefused(InputError):
    """A request that is answered from its line alone, with the code and status it gets."""

    def __init__(
        self, text: str, code: ErrorCode, status: int = 400, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(text)
        self.code = code
        self.status = status
        self.headers = headers


@dataclass(frozen=True, slots=True)
class Failure:
    status: int
    code: ErrorCode
    message: str
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def body(self) -> bytes:
        error = {"code": self.code, "message": self.message[:_MAX_MESSAGE_LENGTH], "detail": None}
        return json.dumps({"errors": [error]}).encode()


def failure_of(error: ShoalError, unknown: ErrorCode) -> Failure:
    """`unknown` is the code for "not found" of what was asked for: MANIFEST_UNKNOWN or BLOB_UNKNOWN."""
    text = str(error)
    match error:
        case RequestRefused():
            return Failure(error.status, error.code, text, error.headers)
        case UploadUnknown():
            return Failure(404, ErrorCode.BLOB_UPLOAD_UNKNOWN, text)
        case UploadBusy():
            return Failure(416, ErrorCode.BLOB_UPLOAD_INVALID, text)
        case TooManyUploads():
            retry = ("Retry-After", str(_USUAL_RETRY_SECONDS))
            return Failure(503, ErrorCode.TOOMANYREQUESTS, text, (retry,))
        case WrongDigest():
            return Failure(400, ErrorCode.DIGEST_INVALID, text)
        case InvalidManifest():
            return Failure(400, ErrorCode.MANIFEST_INVALID, text)
        case MissingContent():
            return Failure(400, ErrorCode.MANIFEST_BLOB_UNKNOWN, text)
        case TooFewCopies():
            return Failure(503, ErrorCode.UNKNOWN, text)
        case NotFound():
            return Failure(404, unknown, text)
        case Unauthorized():
            return Failure(403, ErrorCode.DENIED, text)
        case Throttled():
            retry = ("Retry-After", str(_retry_seconds(error.retry_after_seconds)))
            return Failure(503, ErrorCode.TOOMANYREQUESTS, text, (retry,))
        case InputError():
            return Failure(400, ErrorCode.UNSUPPORTED, text)
        case DiskError():
            return Failure(507, ErrorCode.UNKNOWN, text)
        case TrackerError() | PeerError():
            return Failure(503, ErrorCode.UNKNOWN, text)
        case ContentError():
            return Failure(502, ErrorCode.UNKNOWN, text)
        case _:
            return Failure(502, ErrorCode.UNKNOWN, text)


def _retry_seconds(told: float | None) -> int:
    if told is None or not math.isfinite(told):
        return _USUAL_RETRY_SECONDS
    return min(max(math.ceil(told), 1), _MAX_RETRY_SECONDS)
