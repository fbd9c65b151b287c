"""`PlainView`: lines as BuildKit's `--progress plain` has them: `#5 [2/3] RUN make`, `#5 0.412 output`, `#5 DONE 1.3s`.

Where lines of several tasks mix, a task's title is said again before its own.
"""

from collections.abc import Callable

from builder.progress.events import Ended, Event, Output, Started, Status, Task
from builder.progress.output_lines import OutputLines


class PlainView:
    def __init__(self, write: Callable[[str], None]) -> None:
        """`write` takes one line without its newline."""
        self._write = write
        self._began: dict[int, float] = {}
        self._streams: dict[tuple[int, str], OutputLines] = {}
        self._last_shown: int | None = None

    def __enter__(self) -> "PlainView":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, event: Event) -> None:
        match event:
            case Started(task, at):
                self._began[task.number] = at
                self._line(task, task.title)
            case Status(task, _, text):
                self._line(task, text)
            case Output(task, at, stream, data):
                lines = self._streams.setdefault((task.number, stream), OutputLines())
                for line in lines.feed(data):
                    self._printed(task, at, line)
            case Ended():
                self._ended(event)

    def _ended(self, event: Ended) -> None:
        task = event.task
        for stream in ("stdout", "stderr"):
            for line in self._streams.pop((task.number, stream), OutputLines()).end():
                self._printed(task, event.at, line)
        seconds = event.at - self._began.pop(task.number, event.at)
        words = {"cached": "CACHED", "failed": f"ERROR: {event.error}", "cancelled": "CANCELED"}
        self._line(task, words.get(event.outcome, f"DONE {seconds:.1f}s"))
        self._write("")
        self._last_shown = None

    def _printed(self, task: Task, at: float, line: str) -> None:
        self._line(task, f"{at - self._began.get(task.number, at):.3f} {line}")

    def _line(self, task: Task, text: str) -> None:
        if self._last_shown != task.number:
            if self._last_shown is not None:
                self._write("")
            if text != task.title:
                self._write(f"#{task.number} {task.title}")
        self._last_shown = task.number
        self._write(f"#{task.number} {text}".rstrip())
