"""`View`: what the demo says while it runs: on a terminal one live line a node, elsewhere plain lines."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.status import Status
from rich.table import Table
from rich.text import Text

from tests.demo.progress import NodeProgress
from tests.demo.summary import PEERS_COLOUR, REGISTRY_COLOUR, Summary, megabytes

_BAR_CELLS = 32
_COLOURS = {"registry": REGISTRY_COLOUR, "peers": PEERS_COLOUR}


class View:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._spinner: Status | None = None
        self._reported: set[str] = set()

    def say(self, what: str, text: str) -> None:
        """One line of the story; `what` in a few letters."""
        self.stop_work()
        label = (f"{what:>9}  ", f"bold {_COLOURS.get(what, '')}")
        self._console.print(Text.assemble(label, text), soft_wrap=True)

    def work_on(self, text: str) -> None:
        """A spinner, on a terminal, until the next thing is said or shown."""
        self.stop_work()
        if self._console.is_terminal:
            self._spinner = self._console.status(Text(text, "dim"), spinner="dots")
            self._spinner.start()

    def stop_work(self) -> None:
        if self._spinner is not None:
            self._spinner.stop()
            self._spinner = None

    @contextmanager
    def showing(self, nodes: Sequence[NodeProgress]) -> Iterator["Shown"]:
        """Call `refresh` on what this gives now and then; the last state stays."""
        self.stop_work()
        if self._console.is_terminal:
            self._console.print()
            with Live(console=self._console, auto_refresh=False) as live:
                yield Shown(nodes, live, self)
            self._console.print()
        else:
            yield Shown(nodes, None, self)

    def report_finished(self, nodes: Sequence[NodeProgress]) -> None:
        """A plain line for every node that has newly ended."""
        for node in nodes:
            if node.state in ("done", "failed") and node.name not in self._reported:
                self._reported.add(node.name)
                end = f"{node.seconds:.1f} s, {node.share_from_peers:.0%} from peers"
                self.say(node.name, node.failure or f"{megabytes(node.done_bytes)} in {end}")

    def show_summary(self, summary: Summary) -> None:
        self.stop_work()
        if summary.image_bytes:
            self._console.print(summary.as_table())
        for problem in summary.problems:
            self._console.print(Text(problem, "red"), soft_wrap=True)


class Shown:
    def __init__(self, nodes: Sequence[NodeProgress], live: Live | None, view: View) -> None:
        self._nodes, self._live, self._view = nodes, live, view

    def refresh(self) -> None:
        if self._live is None:
            self._view.report_finished(self._nodes)
        else:
            self._live.update(_lines(self._nodes), refresh=True)


def _lines(nodes: Sequence[NodeProgress]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right", width=9, style="bold")
    table.add_column(width=_BAR_CELLS)
    table.add_column(justify="right", width=9)
    table.add_column(justify="right", width=9)
    table.add_column()
    for node in nodes:
        if node.failure:
            table.add_row(node.name, Text(node.failure, "red", overflow="ellipsis", no_wrap=True))
            continue
        rate = megabytes(int(node.bytes_per_second)) + "/s"
        share = Text(f"{node.share_from_peers:4.0%} from peers", PEERS_COLOUR if node.peer_bytes else "dim")
        table.add_row(node.name, _bar(node), megabytes(node.done_bytes), Text(rate, "dim"), share)
    return table


def _bar(node: NodeProgress) -> Text:
    """What came from the registry in one colour, from peers in another; the rest dim."""
    if not node.total_bytes:
        return Text("━" * _BAR_CELLS, "bright_black")
    done = min(round(_BAR_CELLS * node.done_bytes / node.total_bytes), _BAR_CELLS)
    peers = round(done * node.share_from_peers)
    return Text.assemble(
        ("━" * (done - peers), REGISTRY_COLOUR),
        ("━" * peers, PEERS_COLOUR),
        ("━" * (_BAR_CELLS - done), "bright_black"),
    )
