"""`History`: what is kept of a run for pictures: how many nodes have each chunk, as time goes by."""

_MOST_SLOTS = 400
_MOST_ROWS = 256


class History:
    """arrivals: (time, chunk index) coarsened: arrivals[slot][index] are the copies that came within the slot."""

    def __init__(self, nodes: int, chunks: int) -> None:
        self.nodes = nodes
        self.chunks = chunks
        self.slot_seconds = 0.01
        self.arrivals: list[list[int]] = []
        self._rows = min(chunks, _MOST_ROWS)

    def on_chunk(self, now: float, index: int) -> None:
        slot = int(now / self.slot_seconds)
        if slot >= _MOST_SLOTS:
            self._coarsen()
            slot = int(now / self.slot_seconds)
        while slot >= len(self.arrivals):
            self.arrivals.append([0] * self._rows)
        self.arrivals[slot][index * self._rows // self.chunks] += 1

    def _coarsen(self) -> None:
        """Half as many slots, each twice as long."""
        if len(self.arrivals) % 2:
            self.arrivals.append([0] * self._rows)
        pairs = zip(self.arrivals[::2], self.arrivals[1::2], strict=True)
        self.arrivals = [[a + b for a, b in zip(one, two, strict=True)] for one, two in pairs]
        self.slot_seconds *= 2
