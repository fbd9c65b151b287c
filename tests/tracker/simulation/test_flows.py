"""Flows share both their ends."""

from collections.abc import Callable

import pytest

from tracker.simulation.clock import Clock
from tracker.simulation.flows import Flows, Port

FAST = float("inf")


def run(build: Callable[[Flows, list[tuple[str, float]], Clock], None]) -> dict[str, float]:
    clock, ended = Clock(), list[tuple[str, float]]()
    build(Flows(clock), ended, clock)
    clock.run(lambda: True, 1e6)
    return dict(ended)


def test_two_flows_of_one_port_have_half_each() -> None:
    def build(flows: Flows, ended: list[tuple[str, float]], clock: Clock) -> None:
        source = Port(100.0)
        for name, size in (("small", 100.0), ("large", 200.0)):
            flows.start(source, Port(100.0), size, FAST, lambda n: ended.append((n, clock.now)), name)

    assert run(build) == {"small": pytest.approx(2.0), "large": pytest.approx(3.0)}


def test_what_one_flow_cannot_use_goes_to_the_other() -> None:
    def build(flows: Flows, ended: list[tuple[str, float]], clock: Clock) -> None:
        source = Port(100.0)
        flows.start(source, Port(10.0), 10.0, FAST, lambda: ended.append(("slow", clock.now)))
        flows.start(source, Port(100.0), 90.0, FAST, lambda: ended.append(("fast", clock.now)))

    assert run(build) == {"slow": pytest.approx(1.0), "fast": pytest.approx(1.0)}


def test_a_port_is_never_given_out_beyond_its_rate() -> None:
    flows = Flows(Clock())
    sinks = [Port(60.0) for _ in range(4)]
    sources = [Port(100.0) for _ in range(5)]
    for number, source in enumerate(sources):
        for sink in sinks[number % 2 :]:
            flows.start(source, sink, 1e6, FAST, lambda: None)
            assert all(port.used <= port.rate * 1.01 for port in [*sinks, *sources])


def test_a_connection_has_a_limit_of_its_own() -> None:
    def build(flows: Flows, ended: list[tuple[str, float]], clock: Clock) -> None:
        flows.start(Port(100.0), Port(100.0), 100.0, 20.0, lambda: ended.append(("capped", clock.now)))

    assert run(build) == {"capped": pytest.approx(5.0)}


def test_a_flow_that_was_stopped_does_not_end() -> None:
    def build(flows: Flows, ended: list[tuple[str, float]], clock: Clock) -> None:
        source = Port(100.0)
        flow = flows.start(source, Port(100.0), 100.0, FAST, lambda: ended.append(("first", clock.now)))
        flows.start(source, Port(100.0), 100.0, FAST, lambda: ended.append(("second", clock.now)))
        clock.after(1.0, flows.stop, flow)

    assert run(build) == {"second": pytest.approx(1.5)}
