"""`TerminalView`: `[+] Building 3.2s (6/9)`, a line a task with its time, and what a running one printed last.

What is finished stays on the screen; only the rest is drawn anew, so that a long build fits any terminal.
"""

import time
from collections import deque
from dataclasses import dataclass, field

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from builder.progress.events import Ended, Event, Output, Started, Status, Task
from builder.progress.output_lines import OutputLines

_SHOWN_LINES = 6
_REFRESH_PER_SECOND = 8
_MARKS = {"cached": "CACHED ", "failed": "ERROR ", "cancelled": "CANCELED "}


@dataclass(slots=True)
class _Row:
    task: Task
    began: float
    ended: Ended | None = None
    statuses: dict[str, str] = field(default_factory=dict)
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=_SHOWN_LINES))
    streams: dict[str, OutputLines] = field(default_factory=dict)


class TerminalView:
    def __init__(self, console: Console, expected: int = 0) -> None:
        """`expected`: how many tasks there will be, as far as known."""
        self._console = console
        self._rows: dict[int, _Row] = {}
        self._expected = expected
        self._began = time.time()
        self._over = False
        self._live = Live(
            console=console,
            get_renderable=self._drawn,
            refresh_per_second=_REFRESH_PER_SECOND,
            vertical_overflow="crop",
        )

    def __enter__(self) -> "TerminalView":
        self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        self._live.vertical_overflow = "visible"
        self._live.__exit__(None, None, None)

    def expect(self, tasks: int) -> None:
        self._expected = tasks

    def show(self, event: Event) -> None:
        match event:
            case Started(task, at):
                self._rows[task.number] = _Row(task, at)
            case Status(task, _, text):
                self._rows[task.number].statuses[text.partition(":")[0]] = text
            case Output(task, _, stream, data):
                row = self._rows[task.number]
                row.lines.extend(row.streams.setdefault(stream, OutputLines()).feed(data))
            case Ended(task):
                self._rows[task.number].ended = event

    def _drawn(self) -> RenderableType:
        rows = list(self._rows.values())
        done = sum(row.ended is not None for row in rows)
        everything = len(rows) if self._over else max(self._expected, len(rows))
        finished = self._over
        seconds = max((row.ended.at for row in rows if row.ended), default=0.0) if finished else time.time()
        head = f"[+] Building {max(seconds - self._began, 0):.1f}s ({done}/{everything})"
        lines = [Text(f"{head} FINISHED" if finished and done == len(rows) else head)]
        for row in rows:
            lines += self._row(row, finished)
        room = self._console.height - 1
        if not finished and len(lines) > room:  # the newest matter
            lines = [lines[0], *lines[-(room - 1) :]]
        return Group(*lines)

    def _row(self, row: _Row, finished: bool) -> list[Text]:
        now = row.ended.at if row.ended else time.time()
        mark = _MARKS.get(row.ended.outcome, "") if row.ended else ""
        drawn = [self._line(f" => {mark}{row.task.title}", now - row.began, _style(row))]
        drawn += [Text(f" => => {text}", style="dim") for text in row.statuses.values()]
        if row.ended is None and not finished:
            drawn += [Text(f" => => # {line}", style="dim", no_wrap=True) for line in row.lines]
        for text in drawn:
            text.truncate(self._console.width, overflow="ellipsis")
        return drawn

    def _line(self, text: str, seconds: float, style: str) -> Text:
        took = f"{max(seconds, 0):.1f}s"
        room = max(self._console.width - len(took) - 1, 10)
        shown = text if len(text) <= room else f"{text[: room - 1]}…"
        return Text(f"{shown:<{room}} {took}", style=style)


def _style(row: _Row) -> str:
    if row.ended is None:
        return ""
    return "red" if row.ended.outcome == "failed" else "blue"
