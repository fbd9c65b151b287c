"""`run_tracker`: a tracker as a task: its calls on listeners, its timers, a log line a change of state.

The tracker itself is pure (tracker.directory); this owns the clock.
"""

import random
from collections.abc import Sequence

import trio

from agent.http.limits import HttpLimits
from agent.http.server import HttpServer, StreamListener, serve_http
from agent.telemetry.logs import Log, get_log
from agent.telemetry.tracker_metrics import TrackerMetrics
from tracker.directory.address_policy import AddressPolicy
from tracker.directory.events import Event, EventKind
from tracker.directory.tracker import Tracker
from tracker.handler import tracker_handler

# Every node keeps one connection.
_LIMITS = HttpLimits(connections=20_000)
_LONGEST_SLEEP_SECONDS = 0.25
_SHORTEST_SLEEP_SECONDS = 0.02

_WARNINGS = frozenset(
    {
        EventKind.CONFLICT_FOUND,
        EventKind.NODE_BANNED,
        EventKind.LEASE_EXPIRED,
        EventKind.REGISTRY_THROTTLED,
        EventKind.PUSH_OUTDONE,
    }
)


def new_tracker(cluster: str, address_policy: AddressPolicy | None = None) -> Tracker:
    """A tracker with chance of its own."""
    return Tracker(cluster, random.Random(), address_policy)


async def run_tracker(
    listeners: Sequence[StreamListener],
    tracker: Tracker,
    metrics: TrackerMetrics,
    *,
    task_status: trio.TaskStatus[HttpServer] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Runs until cancelled, or until the HttpServer that `task_status` gives is stopped; closes the listeners."""
    handler = tracker_handler(tracker, metrics, trio.current_time)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_run_timers, tracker, get_log("shoal.tracker"))
        await serve_http(handler, listeners, limits=_LIMITS, task_status=task_status)
        nursery.cancel_scope.cancel()


async def _run_timers(tracker: Tracker, log: Log) -> None:
    while True:
        now = trio.current_time()
        tracker.on_timer(now)
        for event in tracker.take_events():
            _write(log, event)
        due = tracker.next_timer
        until_due = _LONGEST_SLEEP_SECONDS if due is None else due - now
        wake_at = now + min(max(until_due, _SHORTEST_SLEEP_SECONDS), _LONGEST_SLEEP_SECONDS)
        tracker.expect_timer(wake_at)
        await trio.sleep_until(wake_at)


def _write(log: Log, event: Event) -> None:
    write = log.warning if event.kind in _WARNINGS else log.info
    write(event.kind.value, **event.fields())
