"""`OutputLines`: what a command prints, cut into lines that a view can show: safe to print, and of bounded length."""

from collections.abc import Iterator

MAX_LINE_BYTES = 4096


class OutputLines:
    """One stream of one task."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[str]:
        """Whole lines; of what a carriage return overwrites, the last (progress bars). A giant line comes in pieces."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            yield printable(line)
        while len(self._rest) > MAX_LINE_BYTES:
            line, self._rest = self._rest[:MAX_LINE_BYTES], self._rest[MAX_LINE_BYTES:]
            yield printable(line)

    def end(self) -> Iterator[str]:
        """What came without a newline."""
        if self._rest:
            yield printable(self._rest)
            self._rest = b""


def printable(line: bytes) -> str:
    """Without control characters: what a build prints never drives the terminal. Tabs stay."""
    text = line.rstrip(b"\r").rpartition(b"\r")[2].decode("utf-8", "replace")
    if text.isprintable():
        return text
    return "".join(one for one in text if one == "\t" or one.isprintable())
