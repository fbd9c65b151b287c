"""What no schedule can beat: the fluid bound (Kumar and Ross 2006), and the bound with equal chunks."""

import math

from tracker.simulation.scenario import Scenario


def fluid_bound_seconds(scenario: Scenario) -> float:
    """T = max(F/R, F/C, N F/(R + N U)), with the mean uplink where some are slow, and the usual downlink."""
    size, nodes, rate = scenario.image_bytes, scenario.nodes, scenario.registry.rate
    slow = scenario.hardship.slow
    mean_up = scenario.up * (1 - slow + slow / scenario.hardship.slow_factor)
    return max(size / rate, size / scenario.down, nodes * size / (rate + nodes * mean_up))


def chunked_bound_seconds(scenario: Scenario) -> float:
    """(F/C) (1 + floor(log2 N)/M): where the registry is no faster than a node, a chunk's way through N nodes takes
    its rounds. A faster registry starts the doubling with as many copies as it is times faster."""
    chunks = sum(scenario.cut(size).count for size in scenario.layers)
    starts = max(scenario.registry.rate / scenario.up, 1.0)
    rounds = math.floor(math.log2(max(scenario.nodes / starts, 1.0)))
    chunked = scenario.image_bytes / scenario.down * (1 + rounds / chunks)
    return max(chunked, fluid_bound_seconds(scenario))
