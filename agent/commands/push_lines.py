"""`PushLines`: a push where there is no terminal: Docker's line a layer, once it is there."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

from agent.content.digest import Digest
from agent.content.document import Descriptor
from agent.content.reference import Repository


@dataclass(frozen=True, slots=True)
class PushedBlob:
    """`state`: pushed, exists or mounted."""

    digest: Digest
    size: int
    state: str


class PushLines:
    """A PushView; `blobs` is what became of each, in the order in which they were done."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self.blobs: list[PushedBlob] = []
        self._write = write
        self._layers: set[Digest] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Everything is written already."""

    def begin(self, layers: Sequence[Descriptor]) -> None:
        """Of the other blobs, configs, Docker says nothing."""
        self._layers = {layer.digest for layer in layers}

    def on_sent(self, blob: Descriptor, sent_bytes: int) -> None:
        """Lines are for what is done."""

    def on_blob(self, blob: Descriptor, outcome: str, source: Repository | None) -> None:
        self.blobs.append(PushedBlob(blob.digest, blob.size, outcome))
        if blob.digest in self._layers:
            self._write(f"{short_name(blob)}: {outcome_text(outcome, source)}")


def short_name(blob: Descriptor) -> str:
    return blob.digest.hex[:12]


def outcome_text(outcome: str, source: Repository | None) -> str:
    """Docker's words."""
    match outcome:
        case "exists":
            return "Layer already exists"
        case "mounted" if source is not None:
            return f"Mounted from {source.name}"
        case _:
            return "Pushed"
