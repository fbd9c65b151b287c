"""A pull as a table: a bar a blob, coloured by where its bytes came from, and a bar for all of them. PURE.

Colour alone tells nothing on some terminals, so each source has a stroke of its own as well.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.measure import Measurement
from rich.segment import Segment
from rich.style import Style
from rich.table import Table
from rich.text import Text

from agent.commands.pull_report import BytesBySource
from agent.commands.quantities import rate_text, seconds_text, size_text
from agent.node.pull_progress import LayerProgress, PullProgress

REGISTRY, PEERS, HERE, TRACK = "yellow", "green", "cyan", "bright_black"
_STROKES = {REGISTRY: "━", PEERS: "═", HERE: "─", TRACK: "┈"}
_ASCII_STROKES = {REGISTRY: "#", PEERS: "=", HERE: "+", TRACK: "."}
_WIDE_COLUMNS = 76
_MAX_BAR_COLUMNS = 48


@dataclass(frozen=True, slots=True)
class Window:
    """How much of the screen there is, in characters."""

    columns: int
    rows: int


class SourceBar:
    """`size` bytes as a line of strokes; what a source gave is its share of the columns, never none of them."""

    def __init__(self, size: int, by_source: BytesBySource) -> None:
        self._size = max(size, 1)
        self._by_source = by_source

    def __rich_measure__(self, _console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(8, min(options.max_width, _MAX_BAR_COLUMNS))

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        width = min(options.max_width, _MAX_BAR_COLUMNS)
        strokes = _ASCII_STROKES if options.ascii_only else _STROKES
        for colour, columns in self.columns(width):
            yield Segment(strokes[colour] * columns, Style(color=colour))

    def columns(self, width: int) -> list[tuple[str, int]]:
        parts = self._by_source
        drawn: list[tuple[str, int]] = []
        taken, bytes_so_far = 0, 0
        for colour, count in ((HERE, parts.here), (PEERS, parts.peers), (REGISTRY, parts.registry)):
            bytes_so_far += count
            end = min(width * bytes_so_far // self._size, width)
            drawn.append((colour, end - taken))
            taken = end
        return [*drawn, (TRACK, width - taken)]


def pull_table(progress: PullProgress, bytes_per_second: float, window: Window) -> Group:
    """At most `window.rows - 1` lines, so that it can be drawn again in place."""
    if not progress.layers:
        return Group(Text(f"Resolving {progress.reference} ..."))
    total = BytesBySource.of_all(progress)
    shown = _fitting(progress.layers, max(window.rows - 6, 1))
    wide = window.columns >= _WIDE_COLUMNS
    table = _grid(wide)
    for layer in shown:
        table.add_row(*_row(layer, wide))
    if len(shown) < len(progress.layers):
        table.add_row(Text(f"+ {len(progress.layers) - len(shown)} more", style=TRACK), "", "", "")
    table.add_row("", "", "", "")
    table.add_row(*_total_row(progress, total, bytes_per_second, wide))
    return Group(table, _legend(total))


def _grid(wide: bool) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0), expand=True)
    table.add_column(width=12, no_wrap=True)
    table.add_column(ratio=1, max_width=_MAX_BAR_COLUMNS)
    table.add_column(justify="right", no_wrap=True, width=17 if wide else 8)
    table.add_column(no_wrap=True, width=20 if wide else 11)
    return table


def _row(layer: LayerProgress, wide: bool) -> tuple[Text, SourceBar, Text, Text]:
    by_source = BytesBySource.of(layer)
    name = Text(layer.digest.short, style="default" if layer.state != "waiting" else TRACK)
    return name, SourceBar(layer.size, by_source), _amount(by_source.all, layer.size, wide), _said_of(layer)


def _total_row(
    progress: PullProgress, total: BytesBySource, rate: float, wide: bool
) -> tuple[Text, SourceBar, Text, Text]:
    size = sum(layer.size for layer in progress.layers)
    done = sum(layer.state in ("done", "here") for layer in progress.layers)
    name = Text(f"{done} of {len(progress.layers)}", style="bold")
    said = Text("")
    if total.all < size and rate > 0:
        left = (size - total.all) / rate
        said = Text(
            f"{rate_text(rate)}  {seconds_text(left)} left" if wide else rate_text(rate), style="bold"
        )
    return name, SourceBar(size, total), _amount(total.all, size, wide), said


def _amount(done: int, size: int, wide: bool) -> Text:
    if done >= size or not wide:
        return Text(size_text(min(size, done)))
    return Text(f"{size_text(done)} / {size_text(size)}")


def _said_of(layer: LayerProgress) -> Text:
    match layer.state:
        case "here":
            return Text("already here", style=HERE)
        case "downloading":
            return Text("downloading")
        case "done":
            return Text("done", style="bold")
        case "failed":
            return Text("failed", style="bold red")
        case state:
            return Text(state, style=TRACK)


def _legend(total: BytesBySource) -> Text:
    named = (
        (HERE, "already here", total.here),
        (PEERS, "peers", total.peers),
        (REGISTRY, "registry", total.registry),
    )
    legend = Text(" " * 14)
    for colour, name, count in named:
        legend.append(_STROKES[colour] * 2, style=colour)
        legend.append(f" {name} {size_text(count)}   ")
    return legend


def _fitting(layers: Iterable[LayerProgress], rows: int) -> list[LayerProgress]:
    """In their order. Where there are too many, failed ones and those on their way come before the others."""
    numbered = list(enumerate(layers))
    urgency = {"failed": 0, "downloading": 1, "waiting": 2}
    chosen = sorted(numbered, key=lambda entry: (urgency.get(entry[1].state, 3), entry[0]))[:rows]
    return [layer for _, layer in sorted(chosen, key=lambda entry: entry[0])]
