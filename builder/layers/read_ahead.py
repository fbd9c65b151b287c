"""`ReadAhead`: a thread of its own reads a stream a few pieces ahead, so that two cores share an unpacking."""

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

_PIECES = 8


@dataclass(frozen=True, slots=True)
class _Failure:
    error: BaseException


class ReadAhead:
    """Use it in a `with`: leaving ends the thread. `read` raises what reading `pieces` raised."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._queue: queue.Queue[bytes | _Failure] = queue.Queue(_PIECES)
        self._stopped = False
        self._piece, self._at = b"", 0
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="read-ahead", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        while self._thread.is_alive():
            try:
                self._queue.get_nowait()  # it may wait for a place
            except queue.Empty:
                self._thread.join(0.005)

    def read(self, limit_bytes: int) -> bytes:
        while self._at >= len(self._piece) and not self._ended:
            self._next()
        at = self._at
        self._at = min(at + limit_bytes, len(self._piece))
        return self._piece[at : self._at]

    def drain(self) -> None:
        """To the end."""
        while self.read(1 << 20):
            pass

    def _next(self) -> None:
        got = self._queue.get()
        if isinstance(got, _Failure):
            self._ended = True
            raise got.error
        self._piece, self._at = got, 0
        self._ended = not got

    def _run(self) -> None:
        try:
            for piece in self._pieces:
                if self._stopped:
                    return
                if piece:
                    self._queue.put(piece)
            self._queue.put(b"")
        except BaseException as error:  # noqa: BLE001 -- the reader's to raise
            self._queue.put(_Failure(error))
