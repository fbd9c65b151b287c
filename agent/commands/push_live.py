"""`LivePush`: a push on a terminal: a bar a layer, which in the end says what became of it."""

import time
from collections.abc import Callable, Sequence
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID

from agent.commands.push_lines import PushLines, outcome_text, short_name
from agent.content.digest import Digest
from agent.content.document import Descriptor
from agent.content.reference import Repository

_INTERVAL_SECONDS = 0.1


class LivePush(PushLines):
    """It draws when it hears something: no thread of its own, so nothing draws during a Ctrl-C."""

    def __init__(self, console: Console, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__(lambda _: None)
        self._now = now
        self._next = 0.0
        self._tasks: dict[Digest, TaskID] = {}
        self._progress = Progress(
            "{task.description}",
            BarColumn(30),
            DownloadColumn(),
            "{task.fields[state]}",
            console=console,
            auto_refresh=False,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def begin(self, layers: Sequence[Descriptor]) -> None:
        super().begin(layers)
        for layer in layers:
            self._tasks[layer.digest] = self._progress.add_task(
                short_name(layer), total=layer.size, state="Waiting"
            )

    def on_sent(self, blob: Descriptor, sent_bytes: int) -> None:
        task = self._tasks.get(blob.digest)
        if task is not None:
            self._progress.update(task, completed=sent_bytes, state="Pushing")
            self._draw()

    def on_blob(self, blob: Descriptor, outcome: str, source: Repository | None) -> None:
        super().on_blob(blob, outcome, source)
        task = self._tasks.get(blob.digest)
        if task is not None:
            self._progress.update(task, completed=blob.size, state=outcome_text(outcome, source))
            self._progress.refresh()

    def _draw(self) -> None:
        if (now := self._now()) >= self._next:
            self._next = now + _INTERVAL_SECONDS
            self._progress.refresh()
