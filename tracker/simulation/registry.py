"""`Registry`: has everything, at a rate of its own and a rate a connection, with a latency and a quota of requests."""

from collections.abc import Callable

from tracker.simulation.clock import Clock
from tracker.simulation.flows import Port
from tracker.simulation.scenario import RegistryScenario

Answer = Callable[[float | None], None]


class Registry:
    def __init__(self, clock: Clock, scenario: RegistryScenario) -> None:
        self.port = Port(scenario.rate)
        self.scenario = scenario
        self.requests = 0
        self.refusals = 0
        self.bytes_sent = 0.0
        self._clock = clock
        self._window_ends = 0.0
        self._window_requests = 0

    @property
    def is_off(self) -> bool:
        off = self.scenario.off
        return off is not None and off[0] <= self._clock.now < off[1]

    def request(self, answer: Answer) -> None:
        """`answer` is called with None where bytes follow, else with the seconds of Retry-After (0: it is gone)."""
        self.requests += 1
        self._clock.after(self.scenario.request_seconds, self._answer, answer)

    def _answer(self, answer: Answer) -> None:
        if self.is_off:
            self.refusals += 1
            answer(0.0)
        elif self._is_over_quota():
            self.refusals += 1
            answer(self.scenario.retry_after_seconds)
        else:
            answer(None)

    def _is_over_quota(self) -> bool:
        scenario, now = self.scenario, self._clock.now
        if scenario.storm is not None and scenario.storm[0] <= now < scenario.storm[1]:
            return True
        if not scenario.quota:
            return False
        if now >= self._window_ends:
            self._window_ends = now + scenario.quota_seconds
            self._window_requests = 0
        self._window_requests += 1
        return self._window_requests > scenario.quota
