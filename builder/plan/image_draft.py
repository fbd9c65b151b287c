"""`ImageDraft`: the configuration of an image while its stage is gone through. PURE.

Like BuildKit's dockerfile2llb it keeps of a base image what a Docker image is specified to have, and drops the rest
(container, docker_version, ...); lists and maps that are empty are not written.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from agent.content.image_config import HistoryEntry
from agent.content.platform import Platform
from builder.plan.layer import Chain
from builder.plan.options import BaseImage

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_RUNTIME_KEYS = (
    "User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels", "StopSignal", "ArgsEscaped",
    "Healthcheck", "OnBuild", "StopTimeout", "Shell",
)  # fmt: skip
_PLATFORM_KEYS = ("os.version", "os.features")


@dataclass(frozen=True, slots=True)
class PlannedHistory:
    """`step`: the one whose layer it tells of; None: it changed the configuration alone."""

    created_by: str
    step: int | None = None
    comment: str = "buildkit.dockerfile.v0"


@dataclass(slots=True)
class ImageDraft:
    """`runtime`: the `config` object. `base_history` and `base_layers`: of the image below, () where it is scratch.
    is_known: the image below is."""

    platform: Platform
    runtime: dict[str, Any]
    author: str = ""
    base_history: tuple[HistoryEntry, ...] = ()
    base_layers: Chain = ()
    platform_details: dict[str, Any] = field(default_factory=dict)
    history: list[PlannedHistory] = field(default_factory=list)
    is_known: bool = True

    @classmethod
    def empty(cls, platform: Platform) -> "ImageDraft":
        return cls(platform, {"WorkingDir": "/", "Env": [f"PATH={DEFAULT_PATH}"]})

    @classmethod
    def of(cls, base: BaseImage) -> "ImageDraft":
        config = base.config
        runtime = {
            key: copy.deepcopy(config.runtime[key]) for key in _RUNTIME_KEYS if config.runtime.get(key)
        }
        runtime["Env"] = [text for text in runtime.get("Env", []) if isinstance(text, str)]
        details = {key: config.raw[key] for key in _PLATFORM_KEYS if config.raw.get(key)}
        draft = cls(config.platform, runtime, config.author, config.history, base.layers, details)
        draft.is_known = base.is_known
        return draft

    def child(self) -> "ImageDraft":
        """What a stage that begins with this one has: all but its triggers, which have fired."""
        runtime = {key: copy.deepcopy(value) for key, value in self.runtime.items() if key != "OnBuild"}
        return replace(self, runtime=runtime, history=[*self.history])

    def tell(self, created_by: str, step: int | None = None, comment: str = "buildkit.dockerfile.v0") -> None:
        self.history.append(PlannedHistory(created_by, step, comment))

    def set_env(self, name: str, value: str) -> None:
        texts: list[str] = self.runtime.setdefault("Env", [])
        for number, text in enumerate(texts):
            if text.partition("=")[0] == name:
                texts[number] = f"{name}={value}"
                return
        texts.append(f"{name}={value}")

    def add(self, key: str, values: Mapping[str, Any]) -> None:
        """To the labels, the ports or the volumes."""
        self.runtime[key] = {**(self.runtime.get(key) or {}), **values}

    @property
    def environment(self) -> dict[str, str]:
        pairs = (text.partition("=") for text in self.runtime.get("Env", []))
        return {name: value for name, _, value in pairs}

    @property
    def directory(self) -> str:
        return str(self.runtime.get("WorkingDir") or "/")

    @property
    def user(self) -> str:
        return str(self.runtime.get("User") or "")

    @property
    def shell(self) -> tuple[str, ...]:
        return tuple(self.runtime.get("Shell") or ("/bin/sh", "-c"))
