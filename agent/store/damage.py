"""`DamageList`: blobs that were here and turned out damaged or gone, until they are here again or nobody needs them.

A damaged blob is removed at once, so that it is never served; this list is what `shoal store repair` fetches again. One
digest a line in the file `damaged` beside the blobs. Writers hold the layout lock.
"""

from collections.abc import Iterable
from pathlib import Path

from agent.content.digest import Digest
from agent.content.errors import InputError
from agent.store.layout import replace_file

_MAX_BYTES = 16 * 1024 * 1024


class DamageList:
    """Methods raise OSError."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> list[Digest]:
        """In the order in which they were found; a line that is no digest is passed over."""
        try:
            with self._path.open(errors="replace") as file:
                lines = file.read(_MAX_BYTES).splitlines()
        except FileNotFoundError:
            return []
        return list(dict.fromkeys(found for line in lines if (found := _digest(line)) is not None))

    def add(self, digests: Iterable[Digest], staged: Path) -> None:
        known = self.read()
        self._write(known, [*known, *digests], staged)

    def remove(self, digests: Iterable[Digest], staged: Path) -> None:
        known, gone = self.read(), set(digests)
        self._write(known, [digest for digest in known if digest not in gone], staged)

    def _write(self, known: list[Digest], wanted: list[Digest], staged: Path) -> None:
        if wanted != known:
            replace_file(
                self._path, "".join(f"{digest}\n" for digest in dict.fromkeys(wanted)).encode(), staged
            )


def _digest(line: str) -> Digest | None:
    try:
        return Digest.parse(line.strip())
    except InputError:
        return None
