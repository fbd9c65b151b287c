"""`apply_change`: what `-c` of import and commit changes in a config: one instruction of a Dockerfile. PURE.

CMD ENTRYPOINT ENV EXPOSE HEALTHCHECK LABEL ONBUILD STOPSIGNAL USER VOLUME WORKDIR, in both forms where there are two.
Nothing is expanded and nothing of the image is executed: the text goes into the config.
"""

import json
import posixpath
import re
import shlex
from collections.abc import Callable, Sequence
from typing import Any

from agent.content.errors import InputError

Runtime = dict[str, Any]

_SHELL = ("/bin/sh", "-c")
_PORT = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?(?:/(tcp|udp|sctp))?")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_UNIT_NS = {"ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_HEALTH_TIMES = {"--interval": "Interval", "--timeout": "Timeout", "--start-period": "StartPeriod"}


def apply_changes(runtime: Runtime, changes: Sequence[str]) -> Runtime:
    """A changed copy of a config's `config`. Raises InputError."""
    changed = dict(runtime)
    has_command = False
    for text in changes:
        word, _, rest = text.strip().partition(" ")
        apply = _INSTRUCTIONS.get(word.upper())
        if apply is None or not rest.strip():
            known = " ".join(_INSTRUCTIONS)
            raise InputError(f"{text[:80]!r} is no change: expected one of {known} and its arguments")
        try:
            apply(changed, rest.strip())
        except (ValueError, IndexError):
            raise InputError(f"{text[:80]!r} is malformed") from None
        if word.upper() == "CMD":
            has_command = True
        elif word.upper() == "ENTRYPOINT" and not has_command:
            changed["Cmd"] = None  # the command was meant for the entrypoint before
    return changed


def _command(key: str) -> Callable[[Runtime, str], None]:
    def apply(runtime: Runtime, text: str) -> None:
        words = _json_words(text)
        runtime[key] = [*_SHELL, text] if words is None else words

    return apply


def _env(runtime: Runtime, text: str) -> None:
    env = list(runtime.get("Env") or [])
    for key, value in _pairs(text):
        place = next((n for n, entry in enumerate(env) if entry.partition("=")[0] == key), len(env))
        env[place : place + 1] = [f"{key}={value}"]
    runtime["Env"] = env


def _expose(runtime: Runtime, text: str) -> None:
    ports = dict(runtime.get("ExposedPorts") or {})
    for word in shlex.split(text):
        match = _PORT.fullmatch(word.lower())
        if match is None:
            raise ValueError(word)
        first, last = int(match[1]), int(match[2] or match[1])
        if not 0 < first <= last <= 65535:
            raise ValueError(word)
        ports |= {f"{port}/{match[3] or 'tcp'}": {} for port in range(first, last + 1)}
    runtime["ExposedPorts"] = ports


def _label(runtime: Runtime, text: str) -> None:
    runtime["Labels"] = dict(runtime.get("Labels") or {}) | dict(_pairs(text))


def _volume(runtime: Runtime, text: str) -> None:
    paths = _json_words(text) or shlex.split(text)
    runtime["Volumes"] = dict(runtime.get("Volumes") or {}) | {path: {} for path in paths}


def _onbuild(runtime: Runtime, text: str) -> None:
    runtime["OnBuild"] = [*(runtime.get("OnBuild") or []), text]


def _workdir(runtime: Runtime, text: str) -> None:
    runtime["WorkingDir"] = posixpath.normpath(posixpath.join(runtime.get("WorkingDir") or "/", text))


def _single(key: str) -> Callable[[Runtime, str], None]:
    def apply(runtime: Runtime, text: str) -> None:
        (runtime[key],) = shlex.split(text)

    return apply


def _healthcheck(runtime: Runtime, text: str) -> None:
    check: Runtime = {}
    while text.startswith("--"):
        option, _, text = text.partition(" ")
        key, _, value = option.partition("=")
        if key == "--retries":
            check["Retries"] = int(value)
        elif key in _HEALTH_TIMES:
            check[_HEALTH_TIMES[key]] = _nanoseconds(value)
        else:
            raise ValueError(option)
        text = text.strip()
    word, _, command = text.partition(" ")
    if word.upper() == "NONE" and not command and not check:
        check["Test"] = ["NONE"]
    elif word.upper() == "CMD" and command.strip():
        words = _json_words(command.strip())
        check["Test"] = ["CMD-SHELL", command.strip()] if words is None else ["CMD", *words]
    else:
        raise ValueError(text)
    runtime["Healthcheck"] = check


def _pairs(text: str) -> list[tuple[str, str]]:
    """`key=value key="v 2"`, or of old `key value to the end`."""
    words = shlex.split(text)
    if "=" not in words[0]:
        key, _, value = text.partition(" ")
        if not value:
            raise ValueError(text)
        return [(key, value.strip())]
    if not all("=" in word and word[0] != "=" for word in words):
        raise ValueError(text)
    return [(key, value) for key, _, value in (word.partition("=") for word in words)]


def _json_words(text: str) -> list[str] | None:
    """The words of the exec form; None for the shell form."""
    try:
        words = json.loads(text)
    except ValueError:
        return None
    return words if isinstance(words, list) and all(isinstance(word, str) for word in words) else None


def _nanoseconds(text: str) -> int:
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(text)
    return sum(int(float(number) * _UNIT_NS[unit]) for number, unit in parts)


_INSTRUCTIONS: dict[str, Callable[[Runtime, str], None]] = {
    "CMD": _command("Cmd"),
    "ENTRYPOINT": _command("Entrypoint"),
    "ENV": _env,
    "EXPOSE": _expose,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "ONBUILD": _onbuild,
    "STOPSIGNAL": _single("StopSignal"),
    "USER": _single("User"),
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
