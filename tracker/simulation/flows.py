"""`Flows`: bytes under way, each flow from one `Port` to another, sharing both ends as TCP connections do.

Processor sharing: when a flow starts or ends, its two ends share themselves anew among their flows, fairly, and what a
flow cannot use because of its other end goes to the others (water filling). The effect stops there: a third port hears
of it at its own next change, which for ports with two or three short flows is soon. That keeps a start or an end at a
handful of flows, whatever the size of the cluster, and no port is ever given out beyond its rate.

(One flow at a time and port, in order, would cost a third and be too kind: a chunk would be passed on after half the
time that it takes beside another on the same line.)
"""

from collections.abc import Callable
from typing import Any

from tracker.simulation.clock import Clock

_NOTICEABLE = 0.01  # rates that change by less keep the end that is planned
_SLACK = 1.001


class Port:
    """One direction of a node's line, or the registry's. `rate`: bytes a second."""

    __slots__ = ("flows", "rate", "total_bytes")

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.total_bytes = 0.0
        self.flows: list[Flow] = []

    @property
    def used(self) -> float:
        used = 0.0
        for flow in self.flows:
            used += flow.rate
        return used


class Flow:
    """`left` bytes at the time `since`, moving at `pace`. rate: what its ends have given it, on its way to become the
    pace. cap: the most that this connection can do."""

    __slots__ = ("args", "cap", "done", "left", "pace", "plan", "rate", "since", "sink", "size", "source")

    def __init__(
        self,
        source: Port,
        sink: Port,
        size: float,
        cap: float,
        now: float,
        done: Callable[..., None],
        args: tuple[Any, ...],
    ) -> None:
        self.source = source
        self.sink = sink
        self.size = self.left = size
        self.cap = cap
        self.since = now
        self.rate = self.pace = 0.0
        self.plan = 0
        self.done: Callable[..., None] | None = done
        self.args = args

    def moved(self, now: float) -> float:
        """Bytes so far."""
        return min(self.size - self.left + self.pace * (now - self.since), self.size)


class Flows:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def start(
        self, source: Port, sink: Port, size: float, cap: float, done: Callable[..., None], *args: Any
    ) -> Flow:
        """`done(*args)` is called when the last byte has gone."""
        flow = Flow(source, sink, size, cap, self._clock.now, done, args)
        source.flows.append(flow)
        sink.flows.append(flow)
        self._share(source, sink)
        return flow

    def stop(self, flow: Flow) -> None:
        """It is cancelled; `done` is not called."""
        if flow.done is not None:
            flow.left -= flow.pace * (self._clock.now - flow.since)
            self._remove(flow)

    def _remove(self, flow: Flow) -> None:
        flow.done = None
        flow.source.flows.remove(flow)
        flow.sink.flows.remove(flow)
        flow.source.total_bytes += flow.size - flow.left
        flow.sink.total_bytes += flow.size - flow.left
        flow.rate = 0.0
        self._share(flow.source, flow.sink)

    def _on_due(self, flow: Flow, plan: int) -> None:
        if flow.plan != plan or flow.done is None:
            return
        done, flow.left = flow.done, 0.0
        self._remove(flow)
        done(*flow.args)

    def _share(self, source: Port, sink: Port) -> None:
        changed: dict[Flow, None] = {}
        _fill(source, changed, True)
        _fill(sink, changed, False)
        for flow in list(changed):
            for port in (flow.source, flow.sink):
                if port.used > port.rate * _SLACK:
                    _reduce(port, changed)
        now = self._clock.now
        for flow in changed:
            self._replan(flow, now)

    def _replan(self, flow: Flow, now: float) -> None:
        old, new = flow.pace, flow.rate
        if abs(new - old) <= _NOTICEABLE * old:
            flow.rate = old
            return
        flow.left -= old * (now - flow.since)
        flow.since = now
        flow.pace = new
        flow.plan += 1
        self._clock.at(now + max(flow.left, 0.0) / new, self._on_due, flow, flow.plan)


def _fill(port: Port, changed: dict[Flow, None], outward: bool) -> None:
    """Share a port: each flow has what its other end can spare or owes it, the rest of them have what that leaves."""
    flows = port.flows
    count = len(flows)
    if not count:
        return
    limits = []
    for flow in flows:
        other = flow.sink if outward else flow.source
        spare = other.rate - other.used + flow.rate
        fair = other.rate / len(other.flows)
        limit = max(spare, fair)
        limits.append((min(limit, flow.cap), flow))
    if count > 1:
        limits.sort(key=_first)
    rest = port.rate
    for limit, flow in limits:
        rate = rest / count
        if limit < rate:
            rate = limit
        rest -= rate
        count -= 1
        if rate != flow.rate:
            flow.rate = rate
            changed[flow] = None


def _reduce(port: Port, changed: dict[Flow, None]) -> None:
    """The port was given out beyond its rate: its fastest flows give way."""
    count = len(port.flows)
    rest = port.rate
    for flow in sorted(port.flows, key=_rate):
        rate = rest / count
        if flow.rate < rate:
            rate = flow.rate
        rest -= rate
        count -= 1
        if rate != flow.rate:
            flow.rate = rate
            changed[flow] = None


def _first(pair: tuple[float, Flow]) -> float:
    return pair[0]


def _rate(flow: Flow) -> float:
    return flow.rate
