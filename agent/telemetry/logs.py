"""Structured logs over the standard library's: one line a change of state, to standard error.

    log = get_log("shoal.node")
    log.info("blob complete", digest=digest, seconds=1.2)

    2026-11-02T10:00:00.123Z INFO node blob complete digest=sha256:... seconds=1.2

Invariants: a record is one line whatever is in it (control characters are escaped), and no secret comes out, neither
in an event, a field, nor an exception's text. Records of other libraries go the same way. What is a secret is decided
in `agent.content.redaction`.
"""

import json
import logging
import math
import re
import sys
import time
from typing import Literal, TextIO

from agent.content.errors import ShoalError
from agent.content.redaction import HIDDEN, is_telling_name, redact

LogFormat = Literal["text", "json"]

_MAX_CHARACTERS = 8192
_MAX_ELEMENTS = 32
# They tell of every request and every byte.
_NOISY = ("httpx", "httpcore", "hpack")

# C0, DEL, C1, line and paragraph separators, what reorders or hides text on a terminal, lone surrogates.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
_PLAIN = re.compile(r"[^\s\"=\\]+")

Plain = str | int | float | bool | None | list["Plain"]


class Log:
    """A named logger whose messages have fields. Values may be anything: they are written as texts."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def debug(self, event: str, /, **fields: object) -> None:
        self._write(logging.DEBUG, event, fields)

    def info(self, event: str, /, **fields: object) -> None:
        self._write(logging.INFO, event, fields)

    def warning(self, event: str, /, **fields: object) -> None:
        self._write(logging.WARNING, event, fields)

    def error(self, event: str, /, **fields: object) -> None:
        self._write(logging.ERROR, event, fields)

    def _write(self, level: int, event: str, fields: dict[str, object]) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, "%s", event, extra={"fields": fields})


def get_log(name: str) -> Log:
    """`name` starts with `shoal.`, which text lines leave out."""
    return Log(logging.getLogger(name))


def configure_logs(level: str, log_format: LogFormat, stream: TextIO | None = None) -> None:
    """For the whole process, replacing what an earlier call set up. `stream` is standard error where not given."""
    handler = _LineHandler(stream if stream is not None else sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    root = logging.getLogger()
    for earlier in [h for h in root.handlers if isinstance(h, _LineHandler)]:
        root.removeHandler(earlier)
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)


class _LineHandler(logging.StreamHandler[TextIO]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the standard library's name
        """Says nothing: the standard one prints the raw record, secrets included, and a log must not end a daemon."""


class TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        name = record.name.removeprefix("shoal.")
        head = f"{_timestamp(record)} {record.levelname} {escape(name)} {escape(redact(record.getMessage()))}"
        return " ".join([head, *(f"{key}={_text(value)}" for key, value in _fields_of(record).items())])


class JsonFormatter(logging.Formatter):
    """Keys: time, level, logger, event, then the fields. A field of one of these names gets an underscore."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Plain] = {
            "time": _timestamp(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": redact(record.getMessage())[:_MAX_CHARACTERS],
        }
        for key, value in _fields_of(record).items():
            line[f"{key}_" if key in line else key] = value
        return json.dumps(line, allow_nan=False).replace("\x7f", "\\u007f")


def describe_error(error: BaseException) -> str:
    """An expected error by its text; others by their type too, and where they were raised. Not yet redacted."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(describe_error(e) for e in error.exceptions[:_MAX_ELEMENTS])
    if isinstance(error, ShoalError):
        return str(error)
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    where = f" (at {traceback.tb_frame.f_code.co_filename}:{traceback.tb_lineno})" if traceback else ""
    return f"{type(error).__name__}: {error}{where}"


def escape(text: str) -> str:
    """One line, without anything that moves a terminal's cursor."""
    return _UNPRINTABLE.sub(_escaped, text[:_MAX_CHARACTERS])


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _timestamp(record: logging.LogRecord) -> str:
    milliseconds = int(record.created * 1000)
    seconds, rest = divmod(milliseconds, 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:03d}Z"


def _fields_of(record: logging.LogRecord) -> dict[str, Plain]:
    fields: dict[str, object] = dict(getattr(record, "fields", {}))
    if record.exc_info and record.exc_info[1] is not None:
        fields.setdefault("error", record.exc_info[1])
    return {escape(key): HIDDEN if is_telling_name(key) else _plain(value) for key, value in fields.items()}


def _plain(value: object) -> Plain:
    """As JSON has it, without secrets."""
    if value is None or isinstance(value, bool):
        return value
    if type(value) is int:
        return value
    if type(value) is float and math.isfinite(value):
        return round(value, 6)
    if isinstance(value, dict):
        # Judged as one text, in which a telling key stands beside its value.
        return redact(str(value))[:_MAX_CHARACTERS]
    if isinstance(value, list | tuple | set | frozenset):
        return _plain_elements(list(value)[:_MAX_ELEMENTS])
    if isinstance(value, bytes | bytearray):
        return redact(value.decode("utf-8", "backslashreplace"))[:_MAX_CHARACTERS]
    text = describe_error(value) if isinstance(value, BaseException) else str(value)
    return redact(text)[:_MAX_CHARACTERS]


def _plain_elements(values: list[object]) -> list[Plain]:
    """Also for pairs such as headers: what stands after a telling name is hidden."""
    plain: list[Plain] = []
    is_secret = False
    for value in values:
        plain.append(HIDDEN if is_secret else _plain(value))
        is_secret = is_secret or (isinstance(value, str | bytes) and is_telling_name(str(plain[-1])))
    return plain


def _text(value: Plain) -> str:
    if isinstance(value, list):
        value = ",".join(map(_bare, value))
    return _bare(value) if not isinstance(value, str) else _quoted(value)


def _bare(value: Plain) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) and abs(value) < 1e6 else str(value)


def _quoted(text: str) -> str:
    if _PLAIN.fullmatch(text) and not _UNPRINTABLE.search(text):
        return text
    return '"' + escape(text.replace("\\", "\\\\").replace('"', '\\"')) + '"'
