"""`EngineContainer`: a container of Docker or podman, running or stopped, seen through the engine's own command.

What changed is what the engine says (`diff`), so that what it put there itself (resolv.conf and the like) is not taken
for a change; the files come out of its `export`. The command is started without a shell, its output is capped or
streamed.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from agent.content.digest import Digest
from agent.content.errors import AgentError, InputError, NotFound
from agent.images.layer_diff import Changes
from agent.images.tar_entry import safe_path
from agent.images.tar_reader import Read

Engine = Literal["docker", "podman"]
ENGINES: tuple[Engine, ...] = ("docker", "podman")
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_CHANGE = re.compile(r"([ACD]) (/.*)")
_ANSWER_SECONDS = 60.0
_MAX_ANSWER_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class EngineContainer:
    """runtime: its configuration as an image's `config`; command: what it runs, for the history."""

    engine: Engine
    name: str
    image_id: Digest
    is_running: bool
    runtime: dict[str, Any]
    command: str

    def changes(self) -> Changes:
        """Raises AgentError."""
        found = Changes()
        for line in _run(self.engine, "diff", self.name).splitlines():
            match = _CHANGE.fullmatch(line)
            if match is None:
                raise AgentError(f"{self.engine} diff says {line[:100]!r}, which is no change")
            kind, path = match[1], safe_path(match[2].lstrip("/"))
            (found.gone if kind == "D" else found.changed).add(path)
        return found.with_parents()

    @contextmanager
    def exported(self) -> Iterator[Read]:
        """Its whole file system as a tar. Raises AgentError where that fails."""
        with _streamed(self.engine, "export", self.name) as read:
            yield read

    @contextmanager
    def saved_image(self) -> Iterator[Read]:
        """The image it was made of, as an archive. Raises AgentError where that fails."""
        form = ("--format", "docker-archive") if self.engine == "podman" else ()
        with _streamed(self.engine, "save", *form, self.image_id.hex) as read:
            yield read

    @contextmanager
    def paused(self, *, wanted: bool) -> Iterator[None]:
        """While it is read, where it runs."""
        if not (wanted and self.is_running):
            yield
            return
        _run(self.engine, "pause", self.name)
        try:
            yield
        finally:
            _run(self.engine, "unpause", self.name)


def find_container(text: str) -> EngineContainer:
    """`docker:NAME`, `podman:NAME`, or a NAME that one of them knows. Raises NotFound, InputError, AgentError."""
    prefix, colon, rest = text.partition(":")
    name = rest if colon else text
    engines = [engine for engine in ENGINES if engine == prefix or not colon]
    if not engines or not _NAME.fullmatch(name):
        raise InputError(
            f"{text[:100]!r} is neither a directory nor a container: expected [docker:|podman:]NAME"
        )
    reasons = []
    for engine in engines:
        if shutil.which(engine) is None:
            reasons.append(f"{engine} is not installed")
            continue
        try:
            return _inspected(engine, name)
        except AgentError as error:
            reasons.append(str(error))
    raise NotFound(f"no container {name}: {'; '.join(reasons)}")


def _inspected(engine: Engine, name: str) -> EngineContainer:
    try:
        (found,) = json.loads(_run(engine, "container", "inspect", name))
        image = str(found["Image"])
        runtime = dict(found["Config"])
        return EngineContainer(
            engine,
            name,
            Digest.parse(image if image.startswith("sha256:") else f"sha256:{image}"),
            bool(found["State"]["Running"]),
            runtime if engine == "docker" else _as_docker(runtime),
            " ".join(runtime.get("Cmd") or []),
        )
    except (ValueError, KeyError, TypeError, InputError):
        raise AgentError(f"{engine} says nothing known of the container {name}") from None


def _as_docker(runtime: dict[str, Any]) -> dict[str, Any]:
    """podman's: what it would commit, and in the form that images have."""
    kept = {
        key: runtime[key]
        for key in ("User", "Cmd", "WorkingDir", "Labels", "Volumes", "ExposedPorts")
        if runtime.get(key)
    }
    entrypoint = runtime.get("Entrypoint")
    if entrypoint:
        kept["Entrypoint"] = entrypoint.split(" ") if isinstance(entrypoint, str) else entrypoint
    own = ("container=", "HOSTNAME=", "TERM=", "HOME=")
    kept["Env"] = [one for one in runtime.get("Env") or [] if not one.startswith(own)]
    return kept


def _run(engine: Engine, *arguments: str) -> str:
    try:
        done = subprocess.run(
            [engine, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_ANSWER_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise AgentError(f"{engine} {arguments[0]} did not answer in {_ANSWER_SECONDS:.0f} s") from None
    if done.returncode or len(done.stdout) > _MAX_ANSWER_BYTES:
        raise AgentError(f"{engine} {arguments[0]} failed: {_last_line(done.stderr)}")
    return done.stdout.decode("utf-8", "surrogateescape")


@contextmanager
def _streamed(engine: Engine, *arguments: str) -> Iterator[Read]:
    process = subprocess.Popen(
        [engine, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    with process:
        try:
            yield process.stdout.read
        except BaseException:
            process.kill()
            raise
        if process.wait():
            raise AgentError(f"{engine} {arguments[0]} failed: {_last_line(process.stderr.read(65536))}")


def _last_line(text: bytes) -> str:
    lines = text.decode(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else "it said nothing"
