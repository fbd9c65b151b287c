"""`PlannedImage`: the image's configuration and history, which lack the layers alone. PURE.

The history is BuildKit's (exporter/containerimage/writer.go): an instruction whose layer has nothing in it counts as
`empty_layer`; times are those of the layers, what has none takes the time of the layer before it, the first ones that
of the first new layer. So a build from the cache, whose layers keep their times, is the same image again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from agent.content.image_config import HistoryEntry, parse_time, time_text
from agent.content.platform import Platform
from builder.plan.image_draft import ImageDraft, PlannedHistory
from builder.plan.layer import Chain, Layer

_EXPORTER = "buildkit.exporter.image.v0"

Results = Mapping[int, Layer | None]
"""Per step of the target's chain its layer, None where it changed nothing."""


@dataclass(frozen=True, slots=True)
class PlannedImage:
    """history: of this build; base: what the image below tells. runtime: the `config` object."""

    platform: Platform
    runtime: Mapping[str, Any]
    history: tuple[PlannedHistory, ...] = ()
    author: str = ""
    base_history: tuple[HistoryEntry, ...] = ()
    base_layers: Chain = ()
    platform_details: Mapping[str, Any] = field(default_factory=dict)
    epoch: int | None = None

    @property
    def steps(self) -> tuple[int, ...]:
        """Those whose layers it has, from the lowest."""
        return tuple(entry.step for entry in self.history if entry.step is not None)

    def layers(self, results: Results) -> Chain:
        """What the manifest lists."""
        made = (results[number] for number in self.steps)
        return (*self.base_layers, *(layer for layer in made if layer is not None))

    def config(self, results: Results) -> dict[str, Any]:
        """The document; `agent.content.image_config.encode` makes its bytes. KeyError where a result is missing."""
        history = _timed([*_base_entries(self), *_new_entries(self.history, results)])
        epoch = None if self.epoch is None else time_text(self.epoch).replace(".000000", "")
        if epoch is not None:
            history = _clamped(history, epoch)
        times = [entry.created for entry in history if entry.created]
        created = epoch or (times[-1] if times else None)
        document = {
            "architecture": self.platform.architecture,
            "variant": self.platform.variant,
            "os": self.platform.os,
            **self.platform_details,
            "author": self.author,
            "config": {key: value for key, value in self.runtime.items() if value},
            "created": created,
            "history": [entry.as_json() for entry in history],
            "rootfs": {"type": "layers", "diff_ids": [str(one.diff_id) for one in self.layers(results)]},
        }
        return {key: value for key, value in document.items() if value or key == "config"}


def planned_image(
    draft: ImageDraft, platform: Platform, labels: Mapping[str, str], epoch: int | None
) -> PlannedImage:
    """`platform`: what the image says of itself. `labels`: of the command line, over those of the file."""
    if labels:
        draft.add("Labels", labels)
    same = (platform.os, platform.architecture) == (draft.platform.os, draft.platform.architecture)
    variant = platform.variant or (draft.platform.variant if same else None)
    details = draft.platform_details if same else {}
    return PlannedImage(
        _normal(Platform(platform.os, platform.architecture, variant)),
        draft.runtime,
        tuple(draft.history),
        draft.author,
        draft.base_history,
        draft.base_layers,
        details,
        epoch,
    )


def _normal(platform: Platform) -> Platform:
    """containerd's platforms.Normalize: the variant that everyone means is not said, but for arm."""
    match platform.architecture, platform.variant:
        case ("arm64", "v8" | "8") | ("amd64", "v1"):
            return replace(platform, variant=None)
        case ("arm", None):
            return replace(platform, variant="v7")
    return platform


def _base_entries(image: PlannedImage) -> list[HistoryEntry]:
    """As many with a layer as there are layers: other builders' histories are not always so."""
    entries = list(image.base_history)
    surplus = sum(not entry.empty_layer for entry in entries) - len(image.base_layers)
    for number, entry in enumerate(entries):
        if surplus > 0 and not entry.empty_layer:
            entries[number] = replace(entry, empty_layer=True)
            surplus -= 1
    return entries + [HistoryEntry(comment=_EXPORTER)] * -surplus


def _new_entries(planned: Sequence[PlannedHistory], results: Results) -> Iterable[HistoryEntry]:
    for entry in planned:
        layer = None if entry.step is None else results[entry.step]
        yield HistoryEntry(
            layer.created if layer else None,
            entry.created_by,
            comment=entry.comment,
            empty_layer=layer is None,
        )


def _timed(entries: list[HistoryEntry]) -> list[HistoryEntry]:
    """Who has no time takes the last one's; the first of those the first time after them, where there is one."""
    first = _first_new_time(entries)
    known, missing_before = first, False
    timed = []
    for entry in entries:
        if entry.created is not None:
            known = entry.created if missing_before else known
        else:
            missing_before = True
        timed.append(entry if entry.created is not None else replace(entry, created=known))
    return timed


def _first_new_time(entries: Iterable[HistoryEntry]) -> str | None:
    time, missing_before = None, False
    for entry in entries:
        if entry.created is None:
            missing_before = True
            continue
        time = entry.created
        if missing_before:
            break
    return time


def _clamped(entries: Iterable[HistoryEntry], epoch: str) -> list[HistoryEntry]:
    """Nothing is later than the epoch."""
    limit = parse_time(epoch) or 0.0
    told = [(entry, parse_time(entry.created) if entry.created else None) for entry in entries]
    return [replace(entry, created=epoch) if time is None or time > limit else entry for entry, time in told]
