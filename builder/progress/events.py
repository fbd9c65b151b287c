"""What happens while a build runs, as values; a view shows them (`plain`, `terminal`, `raw_json`).

Times are seconds since the epoch. A task is numbered when it starts, from 1, as BuildKit numbers its vertexes.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, Protocol

MAX_OUTPUT_BYTES = 2 * 1024 * 1024  # of one step, as BuildKit's
_CLIPPED = b"\n[output clipped, log limit 2MiB reached]\n"
Stream = Literal["stdout", "stderr"]
Outcome = Literal["done", "cached", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class Task:
    """One line of the view: a step, a base image, the context, the image that is written. inputs: what it stands on and
    takes from, as far as that is shown."""

    number: int
    title: str
    inputs: tuple["Task", ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Started:
    task: Task
    at: float


@dataclass(frozen=True, slots=True)
class Output:
    """What a command printed, as it came."""

    task: Task
    at: float
    stream: Stream
    data: bytes


@dataclass(frozen=True, slots=True)
class Status:
    """How far it is: `transferring context: 2.1MB`. The last word of this kind (before the colon) is what holds."""

    task: Task
    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Ended:
    task: Task
    at: float
    outcome: Outcome
    error: str = ""


Event = Started | Output | Status | Ended


class View(Protocol):
    """Shows events. Entered and left around the build."""

    def show(self, event: Event) -> None: ...


class _Unseen:
    def show(self, event: Event) -> None:
        pass


UNSEEN: View = _Unseen()


class Reporter:
    """Makes the events. Called in the main thread alone."""

    def __init__(self, view: View, now: Callable[[], float] = time.time) -> None:
        self._view = view
        self._now = now
        self._count = 0
        self._output_bytes: dict[int, int] = {}

    @contextmanager
    def running(self, title: str, inputs: Sequence[Task] = ()) -> Iterator[Task]:
        """Ended as its body is: done, failed, or cancelled (what is no Exception)."""
        task = self.start(title, inputs)
        try:
            yield task
        except Exception as error:
            self.end(task, "failed", str(error).partition("\n")[0])
            raise
        except BaseException:
            self.end(task, "cancelled")
            raise
        self.end(task)

    def start(self, title: str, inputs: Sequence[Task] = ()) -> Task:
        self._count += 1
        task = Task(self._count, title, tuple(inputs))
        self._view.show(Started(task, self._now()))
        return task

    def output(self, task: Task, stream: Stream, data: bytes) -> None:
        """Of what a step prints without end the beginning is shown."""
        shown = self._output_bytes.get(task.number, 0)
        if shown >= MAX_OUTPUT_BYTES:
            return
        self._output_bytes[task.number] = shown + len(data)
        if shown + len(data) >= MAX_OUTPUT_BYTES:
            data = data[: MAX_OUTPUT_BYTES - shown] + _CLIPPED
        self._view.show(Output(task, self._now(), stream, data))

    def status(self, task: Task, text: str) -> None:
        self._view.show(Status(task, self._now(), text))

    def end(self, task: Task, outcome: Outcome = "done", error: str = "") -> None:
        self._view.show(Ended(task, self._now(), outcome, error))
