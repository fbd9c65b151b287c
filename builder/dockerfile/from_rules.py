"""Warnings about FROM: its variables, its platform, and what it comes to without any `--build-arg`. PURE."""

import json
from collections.abc import Iterator

from agent.content.errors import InputError
from agent.content.platform import Platform
from agent.content.reference import Reference
from builder.dockerfile.failure import did_you_mean
from builder.dockerfile.instructions import Dockerfile, From, Place, Warning
from builder.dockerfile.words import expand, mentioned_in

# What a builder defines by itself; the values stand for any, since only their form matters here.
_PREDEFINED = {
    f"{prefix}{name}": value
    for prefix in ("BUILD", "TARGET")
    for name, value in (
        ("PLATFORM", "linux/amd64"),
        ("OS", "linux"),
        ("OSVERSION", ""),
        ("ARCH", "amd64"),
        ("VARIANT", ""),
    )
} | {"TARGETSTAGE": "default"}


def from_warnings(dockerfile: Dockerfile) -> Iterator[Warning]:
    declared = {name for arg in dockerfile.global_args for name, _ in arg.pairs}
    values = _default_values(dockerfile)
    for stage in dockerfile.stages:
        from_ = stage.from_
        known = declared | _PREDEFINED.keys()
        for word in (from_.image, from_.platform or ""):
            for name in sorted(mentioned_in(word, dockerfile.escape) - known):
                yield _undeclared(name, known, from_.place)
        if from_.platform:
            yield from _platform_warnings(from_, dockerfile.escape)
        if values is not None:
            yield from _default_warnings(dockerfile, from_, values)


def _undeclared(name: str, known: set[str], place: Place) -> Warning:
    hint = did_you_mean(name, known)
    suggestion = f" ({hint})" if hint.startswith("did you mean") else ""
    return Warning("UndefinedArgInFrom", f"FROM argument '{name}' is not declared{suggestion}", place)


def _platform_warnings(from_: From, escape: str) -> Iterator[Warning]:
    word = from_.platform or ""
    names = mentioned_in(word, escape)
    if names == {"TARGETPLATFORM"} and _expanded(word, {"TARGETPLATFORM": "\0"}, escape) == "\0":
        message = (
            f"Setting platform to predefined {word} in FROM is redundant as this is the default behavior"
        )
        yield Warning("RedundantTargetPlatform", message, from_.place)
    if names:
        return
    platform = _expanded(word, {}, escape) or ""
    try:
        parts = (Platform.parse(platform).os, Platform.parse(platform).architecture)
    except InputError:
        return
    # A stage that says in its name what it is for means it.
    if not any(part in (from_.stage_name or "") for part in parts):
        message = f"FROM --platform flag should not use constant value {json.dumps(platform)}"
        yield Warning("FromPlatformFlagConstDisallowed", message, from_.place)


def _default_warnings(dockerfile: Dockerfile, from_: From, values: dict[str, str]) -> Iterator[Warning]:
    image = _expanded(from_.image, values, dockerfile.escape)
    if image is None or image == "scratch" or image in {stage.name for stage in dockerfile.stages}:
        return
    try:
        Reference.parse(image)
    except InputError:
        message = f"Default value for ARG {from_.image} results in empty or invalid base image name"
        yield Warning("InvalidDefaultArgInFrom", message, from_.place)


def _default_values(dockerfile: Dockerfile) -> dict[str, str] | None:
    """The global ARGs as they are without `--build-arg`; None where one cannot be expanded, which is no warning."""
    values = dict(_PREDEFINED)
    for arg in dockerfile.global_args:
        for name, default in arg.pairs:
            value = None if default is None else _expanded(default, values, dockerfile.escape)
            if value is None and default is not None:
                return None
            if value is not None:
                values[name] = value
    return values


def _expanded(word: str, values: dict[str, str], escape: str) -> str | None:
    try:
        return expand(word, values.get, escape)
    except InputError:
        return None
