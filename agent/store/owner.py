"""`Owner`: a process's mark of life in the store, so that what a killed one left behind is known as such.

A locked file in owners/, named by a token; holds and staged files carry that token. The kernel drops the lock with the
process; whoever opens the store next clears up after the dead.
"""

import os
import secrets
from collections.abc import Iterator

from agent.store.file_lock import try_lock
from agent.store.layout import Layout


class Owner:
    def __init__(self, layout: Layout) -> None:
        """Raises OSError."""
        self._layout = layout
        fd = None
        while fd is None:
            self.token = secrets.token_hex(8)
            fd = try_lock(layout.owners / self.token, create=True)
        self._fd = fd

    def staged_path(self, name: str) -> str:
        """A fresh path in staging/ for content of this process."""
        return f"{self._layout.staging}/{self.token}-{name}-{secrets.token_hex(4)}"

    def dead(self) -> Iterator[str]:
        """Tokens of owners that are no more; each one's staged files are removed before it is told."""
        for token in os.listdir(self._layout.owners):
            fd = try_lock(self._layout.owners / token, create=False)
            if fd is not None:
                try:
                    self._clear(token)
                    yield token
                    (self._layout.owners / token).unlink(missing_ok=True)
                finally:
                    os.close(fd)

    def is_alive(self, token: str) -> bool:
        fd = try_lock(self._layout.owners / token, create=False)
        if fd is not None:
            os.close(fd)
            return False
        return (self._layout.owners / token).exists()

    def close(self) -> None:
        self._clear(self.token)
        (self._layout.owners / self.token).unlink(missing_ok=True)
        os.close(self._fd)

    def _clear(self, token: str) -> None:
        for staged in self._layout.staging.iterdir():
            if staged.name.startswith(f"{token}-"):
                staged.unlink(missing_ok=True)
