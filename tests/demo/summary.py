"""`Summary`: what the demo measured, as a table for people and as JSON for scripts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from tests.demo.progress import NodeProgress
from tests.demo.verification import Verdict

REGISTRY_COLOUR, PEERS_COLOUR = "yellow", "cyan"


@dataclass(frozen=True, slots=True)
class Summary:
    """`registry_bytes`: as its log has it; with `registry_is_measured` False, as the agents counted them."""

    nodes: int
    seconds: float
    image_bytes: int
    registry_bytes: int
    registry_is_measured: bool
    peer_bytes: int
    digests: int
    problems: tuple[str, ...]

    @classmethod
    def of(
        cls,
        nodes: Sequence[NodeProgress],
        verdicts: Mapping[str, Verdict],
        expected_digest: str | None,
        measured_bytes: int | None,
    ) -> "Summary":
        """`verdicts` by node, of those that pulled to the end."""
        sizes = [verdict.image_bytes for verdict in verdicts.values()]
        counted = sum(node.registry_bytes for node in nodes)
        return cls(
            nodes=len(nodes),
            seconds=max((node.seconds for node in nodes), default=0.0),
            image_bytes=max(sizes, default=0),
            registry_bytes=counted if measured_bytes is None else measured_bytes,
            registry_is_measured=measured_bytes is not None,
            peer_bytes=sum(node.peer_bytes for node in nodes),
            digests=sum(len(verdict.image) for verdict in verdicts.values()),
            problems=tuple(_problems(nodes, verdicts, expected_digest)),
        )

    @property
    def verified(self) -> bool:
        return not self.problems

    @property
    def registry_copies(self) -> float:
        return self.registry_bytes / self.image_bytes if self.image_bytes else 0.0

    def as_json(self) -> dict[str, Any]:
        return {
            "nodes": self.nodes,
            "seconds": round(self.seconds, 3),
            "image_bytes": self.image_bytes,
            "registry_bytes": self.registry_bytes,
            "registry_copies": round(self.registry_copies, 4),
            "peer_bytes": self.peer_bytes,
            "verified": self.verified,
        }

    def as_table(self) -> Panel:
        table = Table.grid(padding=(0, 2))
        table.add_column(style="bold")
        table.add_column(justify="right")
        table.add_column(style="dim")
        image, registry, peers = map(megabytes, (self.image_bytes, self.registry_bytes, self.peer_bytes))
        by_whom = "by its own log" if self.registry_is_measured else "by the agents' counters"
        received = self.registry_bytes + self.peer_bytes
        share = self.peer_bytes / received if received else 0.0
        table.add_row("time", f"{self.seconds:.1f} s", f"until the last of {self.nodes} nodes had it")
        table.add_row("image", image, "")
        table.add_row(
            Text("registry", REGISTRY_COLOUR),
            registry,
            f"{self.registry_copies:.2f} times the image, {by_whom}",
        )
        table.add_row(Text("peers", PEERS_COLOUR), peers, f"{share:.0%} of all bytes")
        if self.verified:
            table.add_row(
                "verified", Text("yes", "bold green"), f"{self.digests} digests on {self.nodes} nodes"
            )
        else:
            table.add_row("verified", Text("NO", "bold red"), "see below")
        return Panel(table, box=box.ROUNDED, border_style="dim", expand=False, padding=(0, 2))


def _problems(
    nodes: Sequence[NodeProgress], verdicts: Mapping[str, Verdict], expected_digest: str | None
) -> list[str]:
    problems = [f"{node.name}: {node.failure}" for node in nodes if node.failure]
    if expected_digest is None:
        expected_digest = next((node.digest for node in nodes if node.digest), None)
    for node in nodes:
        if node.state == "done" and node.digest != expected_digest:
            problems.append(f"{node.name}: has {node.digest}, not {expected_digest}")
        if node.name in verdicts:
            problems += [f"{node.name}: {problem}" for problem in verdicts[node.name].problems]
        elif not node.failure:
            problems.append(f"{node.name}: was not verified")
    return problems


def megabytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB"
