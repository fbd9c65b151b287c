"""`Link`: two nodes' connection in one swarm: its latency, the rate that it could do alone, whether it is still up.

(Several swarms of two nodes share a TCP connection in the daemon; here each has a `Link`, and the first pays for
dialling.) Loss shows as TCP shows it: a lower rate (Mathis et al. 1997), and frames that come a retransmission later.
"""

import random
from math import sqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tracker.simulation.download import Download

_SEGMENT_BYTES = 1460.0
_RETRANSMISSION_SECONDS = 0.2


class Link:
    __slots__ = ("_greeted", "_loss", "_rng", "_slow_until", "is_open", "latency", "one", "rate", "two")

    def __init__(
        self,
        one: "Download",
        two: "Download",
        latency: float,
        rate: float,
        loss: float,
        rng: random.Random,
    ) -> None:
        self.one = one
        self.two = two
        self.latency = latency
        self.rate = rate if not loss else min(rate, lossy_rate(latency, loss))
        self.is_open = True
        self._greeted = 0
        self._loss = loss
        self._rng = rng
        self._slow_until = 0.0

    def other(self, one: "Download") -> "Download":
        return self.two if self.one is one else self.one

    def is_greeted_by(self, one: "Download") -> bool:
        """Whether it has said INTEREST here; from now on it has."""
        side = 1 if self.one is one else 2
        greeted = self._greeted & side
        self._greeted |= side
        return bool(greeted)

    def delay(self) -> float:
        """How long the next frame takes."""
        if self._loss and self._rng.random() < self._loss:
            return self.latency + _RETRANSMISSION_SECONDS
        return self.latency

    def cut(self) -> None:
        """Both ends notice, the further one after the latency."""
        if self.is_open:
            self.is_open = False
            clock = self.one.node.clock
            clock.after(self.latency, self.one.on_link_down, self)
            clock.after(self.latency, self.two.on_link_down, self)


def lossy_rate(latency: float, loss: float) -> float:
    """Bytes a second of one TCP connection: MSS/RTT * sqrt(3/2) / sqrt(loss)."""
    return _SEGMENT_BYTES / (2 * latency) * sqrt(1.5 / loss)
