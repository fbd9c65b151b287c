"""`PullLines`: a pull as plain lines, one a blob and change, for logs and pipes."""

from collections.abc import Callable
from types import TracebackType

from agent.commands.pull_report import BytesBySource
from agent.commands.quantities import size_text
from agent.content.digest import Digest
from agent.node.pull_progress import LayerProgress, PullProgress


class PullLines:
    """A PullView that calls `write` with every line."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._states: dict[Digest, str] = {}

    def __enter__(self) -> "PullLines":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass

    def show(self, progress: PullProgress) -> None:
        for layer in progress.layers:
            if layer.state != self._states.get(layer.digest, "waiting"):
                self._states[layer.digest] = layer.state
                self._write(f"{layer.digest.short}: {_said_of(layer)}")


def _said_of(layer: LayerProgress) -> str:
    match layer.state:
        case "here":
            return f"Already exists, {size_text(layer.size)}"
        case "downloading":
            return f"Pulling {size_text(layer.size)}"
        case "done":
            return f"Pull complete, {BytesBySource.of(layer)}"
        case state:
            return state.capitalize()
