"""`SecretMask`: what a RUN prints, without the values of the secrets that it has mounted, line by line of each. PURE.

A value of a few bytes is left alone: it is no secret worth the name, and hiding it would make the output unreadable.
What a command makes of a secret (base64, a hash) it has to answer for itself. Output of other steps is not touched.
"""

import re
from collections.abc import Iterable

from builder.progress.events import Stream

HIDDEN = b"***"
MIN_BYTES = 4
_MAX_BYTES = 1024  # of one line of a secret
_MAX_HELD_BYTES = 64 * 1024
_LINE_END = re.compile(rb"[\r\n](?=[^\r\n]*\Z)")


class SecretMask:
    def __init__(self, secrets: Iterable[bytes]) -> None:
        lines = {line.strip()[:_MAX_BYTES] for secret in secrets for line in secret.splitlines()}
        values = sorted((line for line in lines if len(line) >= MIN_BYTES), key=len, reverse=True)
        self._pattern = re.compile(b"|".join(map(re.escape, values))) if values else None
        self._held: dict[Stream, bytes] = {}

    def feed(self, stream: Stream, data: bytes) -> bytes:
        """What may be shown by now: whole lines, as a value may come in two pieces."""
        if self._pattern is None:
            return data
        text = self._held.pop(stream, b"") + data
        end = _LINE_END.search(text)
        cut = 0 if end is None else end.end()
        if len(text) - cut > _MAX_HELD_BYTES:
            text = self._pattern.sub(HIDDEN, text)
            cut = len(text) - _MAX_BYTES
        self._held[stream] = text[cut:]
        return self._pattern.sub(HIDDEN, text[:cut])

    def end(self) -> list[tuple[Stream, bytes]]:
        """The rest of each stream."""
        if self._pattern is None:
            return []
        return [(stream, self._pattern.sub(HIDDEN, text)) for stream, text in self._held.items() if text]
