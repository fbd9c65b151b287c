"""`CachedResult`: what a step with a certain key came to: its layer, or that it changed nothing. PURE.

Signed by the builder's node, so that others may take it: the statement binds key and layer, and names the cluster.
"""

import json
from dataclasses import dataclass
from typing import Any

from agent.content.digest import Digest
from agent.content.document import Descriptor
from agent.content.errors import ContentError, InputError
from builder.plan.layer import Layer


@dataclass(frozen=True, slots=True)
class CachedResult:
    """`key`: hex SHA-256 (builder/plan/cache_keys.py). layer None: the step changed no file."""

    key: str
    layer: Layer | None

    def as_json(self) -> dict[str, Any]:
        if self.layer is None:
            return {"key": self.key}
        blob = self.layer.blob
        return {
            "key": self.key,
            "media_type": blob.media_type,
            "digest": str(blob.digest),
            "size": blob.size,
            "diff_id": str(self.layer.diff_id),
            "plain_bytes": self.layer.plain_bytes,
            "recipe": self.layer.recipe,
            "created": self.layer.created,
        }

    def statement(self, cluster: str) -> bytes:
        """What is signed."""
        text = json.dumps(self.as_json(), separators=(",", ":"), sort_keys=True)
        return f"shoal build result 1\n{cluster}\n{text}".encode()


def parse_result(value: Any) -> CachedResult:
    """Of `as_json`. Raises ContentError."""
    try:
        key, digest = value["key"], value.get("digest")
        if not isinstance(key, str) or len(key) != 64 or not set(key) <= set("0123456789abcdef"):
            raise ContentError("build result has a malformed key")
        if digest is None:
            return CachedResult(key, None)
        blob = Descriptor(_text(value["media_type"]), Digest.parse(_text(digest)), _count(value["size"]))
        plain_bytes = value.get("plain_bytes")
        layer = Layer(
            blob,
            Digest.parse(_text(value["diff_id"])),
            None if plain_bytes is None else _count(plain_bytes),
            _optional_text(value.get("recipe")),
            _optional_text(value.get("created")),
        )
    except (KeyError, TypeError, AttributeError, InputError) as error:
        raise ContentError(f"build result is malformed: {str(error)[:100]}") from None
    return CachedResult(key, layer)


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > 1000:
        raise TypeError("not a text")
    return value


def _optional_text(value: object) -> str | None:
    return None if value is None else _text(value)


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError("not a count")
    return value
