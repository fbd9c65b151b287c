"""`Standstill`: since when nothing moves here, and when neighbours are to be told everything anew for that: again and
again, each time after twice as long."""

_MOST_DOUBLINGS = 4


class Standstill:
    def __init__(self, renew_seconds: float) -> None:
        self._renew_seconds = renew_seconds
        self._since: float | None = None
        self._renewals = 0

    def begin(self, now: float) -> None:
        """The first event: nothing moved before it."""
        if self._since is None:
            self._since = now

    def on_moved(self, now: float) -> None:
        self._since = now
        self._renewals = 0

    def on_renewed(self, now: float) -> None:
        self._since = now
        self._renewals += 1

    @property
    def renew_at(self) -> float:
        if self._since is None:
            return float("inf")
        return self._since + self._renew_seconds * (1 << min(self._renewals, _MOST_DOUBLINGS))
