"""`ImageConfig`: what an image says of itself: its layers by diffID, how it came to be, what it runs. PURE.

Invariant: an ImageConfig that exists has well-formed diffIDs and texts where texts belong. Its history may tell of more
or fewer layers than there are (some builders' do), so whoever lays them beside each other must not count on it. The
image ID is the digest of the bytes, which are kept as they came; only images that are made here are serialised.
OCI image-spec 1.1, config.md; the fields of Docker's own (container, docker_version, ...) stay in `raw`.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from agent.content.digest import Digest
from agent.content.errors import ContentError, InputError
from agent.content.platform import Platform

MAX_CONFIG_BYTES = 4 * 1024 * 1024
_MAX_LAYERS = 10_000


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One step; `empty_layer`: it changed the configuration alone."""

    created: str | None = None
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False

    def as_json(self) -> dict[str, Any]:
        """In the order and with the omissions of Docker's own."""
        told = {
            "created": self.created,
            "created_by": self.created_by,
            "author": self.author,
            "comment": self.comment,
            "empty_layer": self.empty_layer,
        }
        return {key: value for key, value in told.items() if value}


@dataclass(frozen=True, slots=True)
class ImageConfig:
    platform: Platform
    diff_ids: tuple[Digest, ...]
    history: tuple[HistoryEntry, ...]
    created: str | None
    author: str
    runtime: Mapping[str, Any]
    """The `config` object: Cmd, Entrypoint, Env, Labels and so on."""
    raw: Mapping[str, Any] = field(repr=False)

    @property
    def labels(self) -> dict[str, str]:
        labels = self.runtime.get("Labels") or {}
        return {str(key): str(value) for key, value in labels.items()} if isinstance(labels, Mapping) else {}

    @property
    def created_at(self) -> float | None:
        """Seconds since the epoch."""
        return None if self.created is None else parse_time(self.created)


def parse_image_config(body: bytes) -> ImageConfig:
    """Raises ContentError for what no runtime could use."""
    if len(body) > MAX_CONFIG_BYTES:
        raise ContentError(f"image config has {len(body)} bytes: at most {MAX_CONFIG_BYTES} are accepted")
    try:
        raw = json.loads(body.decode(), object_pairs_hook=_unique)
        if not isinstance(raw, dict):
            raise InputError("it is not a JSON object")
        return _config(raw)
    except (ValueError, RecursionError) as error:
        raise ContentError(f"image config is not JSON: {str(error)[:100]}") from None
    except InputError as error:
        raise ContentError(f"image config is malformed: {error}") from None


def encode(raw: Mapping[str, Any]) -> bytes:
    """The bytes of a config made here: compact, keys sorted, so that equal ones have equal digests."""
    return json.dumps(raw, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()


def parse_time(text: str) -> float | None:
    """RFC 3339 with up to nanoseconds, as Go writes it; None where it is none. Seconds since the epoch."""
    head, dot, rest = text.partition(".")
    if dot:
        digits = len(rest) - len(rest.lstrip("0123456789"))
        text = f"{head}.{rest[: min(digits, 6)]}{rest[digits:]}"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def time_text(seconds: float) -> str:
    """RFC 3339 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) != len(pairs):
        raise ValueError("an object has the same key twice")
    return unique


def _config(raw: dict[str, Any]) -> ImageConfig:
    root_fs = raw.get("rootfs")
    if not isinstance(root_fs, dict) or root_fs.get("type") not in (None, "", "layers"):
        raise InputError("rootfs is missing, or of another type than layers")
    texts = root_fs.get("diff_ids") or []
    if (
        not isinstance(texts, list)
        or len(texts) > _MAX_LAYERS
        or not all(isinstance(one, str) for one in texts)
    ):
        raise InputError(f"rootfs.diff_ids is not a list of at most {_MAX_LAYERS} digests")
    diff_ids = tuple(Digest.parse(one) for one in texts)
    history = _history(raw.get("history") or [])
    runtime = raw.get("config") or {}
    if not isinstance(runtime, dict):
        raise InputError("config is not an object")
    system, architecture = _text(raw, "os") or "linux", _text(raw, "architecture")
    platform = Platform(system, architecture, _text(raw, "variant") or None)
    return ImageConfig(
        platform, diff_ids, history, _text(raw, "created") or None, _text(raw, "author"), runtime, raw
    )


def _history(entries: Any) -> tuple[HistoryEntry, ...]:
    if not isinstance(entries, list):
        raise InputError("history is not a list")
    return tuple(_entries(entries))


def _entries(entries: Iterable[Any]) -> Iterable[HistoryEntry]:
    for number, entry in enumerate(entries):
        if not isinstance(entry, dict) or not isinstance(entry.get("empty_layer", False), bool | None):
            raise InputError(f"history[{number}] is malformed")
        yield HistoryEntry(
            created=_text(entry, "created") or None,
            created_by=_text(entry, "created_by"),
            author=_text(entry, "author"),
            comment=_text(entry, "comment"),
            empty_layer=bool(entry.get("empty_layer")),
        )


def _text(raw: Mapping[str, Any], key: str) -> str:
    value = raw.get(key)
    if value is not None and not isinstance(value, str):
        raise InputError(f"{key} is not a string")
    return value or ""
