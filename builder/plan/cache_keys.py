"""Cache keys: hex SHA-256 of what a step does, and per input its key or its content. PURE.

`definition_key` can be known before anything is done: from the keys of the inputs. `content_key` has the digest of the
selected files in a source's place, so that a step whose inputs were made anew, the same, is found all the same. Every
field is framed with its name, its type and its length: joined strings collide. A field that is added to a step's values
is part of the keys by itself, as are the platform and the epoch (it is in the layer's timestamps). Not in them: proxies
(`_LEFT_OUT`); what a secret's value and a cache mount's content are, no plan knows.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import Literal

from builder.plan.layer import Chain
from builder.plan.steps import (
    BindMount,
    CacheMount,
    ContextSource,
    CopyOperation,
    FileSource,
    GitSource,
    ImageSource,
    Operation,
    RunOperation,
    Step,
    StepSource,
    UrlFile,
)

_VERSION = "shoal build step 1"
_LEFT_OUT = {(RunOperation, "proxies")}
# What files are copied or mounted, the inputs' keys say.
_SOURCES = (ImageSource, ContextSource, StepSource)


@dataclass(frozen=True, slots=True)
class Selection:
    """Files that an operation reads: `paths` are patterns for a copy, and one path for a mount."""

    source: FileSource | UrlFile | GitSource
    paths: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    parents: bool = False
    follows_patterns: bool = False


def selections(operation: Operation | None) -> tuple[Selection, ...]:
    """The inputs beside the base, in the order that the keys want theirs in."""
    match operation:
        case CopyOperation():
            return tuple(_of_copy(operation))
        case RunOperation(mounts=mounts):
            return tuple(
                Selection(mount.source, (mount.path,))
                for mount in mounts
                if isinstance(mount, BindMount | CacheMount) and mount.source is not None
            )
    return ()


def definition_key(step: Step, base_key: str | None, source_keys: Sequence[str]) -> str:
    """`source_keys`: one for each of `selections(step.operation)`: a step's key, an image's, a commit, an ETag.

    base_key: of the step below; None where the stage begins. It is left out where the layer does not depend on it.
    """
    return _key("definition", step, base_key, source_keys)


def content_key(step: Step, base_key: str | None, contents: Sequence[str]) -> str:
    """`contents`: the digest of the files of each of `selections(step.operation)`."""
    return _key("content", step, base_key, contents)


def layers_key(layers: Chain) -> str:
    """Of files that are known by their layers: an image's, or what a step came to."""
    return _hashed("layers", (str(layer.diff_id) for layer in layers))


def is_independent(operation: Operation | None) -> bool:
    """COPY --link makes the same layer on any base, unless that has to say who `--chown=name` is."""
    if not isinstance(operation, CopyOperation) or not operation.link:
        return False
    return all(part.isdecimal() for part in (operation.owner or "0").split(":"))


def _of_copy(operation: CopyOperation) -> Iterator[Selection]:
    if operation.paths:
        yield Selection(operation.source, operation.paths, operation.excludes, operation.parents, True)
    yield from (Selection(url) for url in operation.urls)
    yield from (Selection(git, (git.subdirectory or ".",), operation.excludes) for git in operation.gits)


def _key(
    kind: Literal["definition", "content"], step: Step, base_key: str | None, inputs: Sequence[str]
) -> str:
    wanted = len(selections(step.operation))
    if len(inputs) != wanted:
        raise ValueError(f"step {step.number} has {wanted} inputs, {len(inputs)} keys were given")
    base = None if is_independent(step.operation) else base_key
    layers = layers_key(step.layers) if step.operation is None else None
    return _hashed(kind, (step.platform, step.epoch, base, layers, step.operation, tuple(inputs)))


def _hashed(kind: str, values: Iterable[object]) -> str:
    pieces: list[bytes] = []
    _tell((_VERSION, kind, *values), pieces)
    return hashlib.sha256(b"".join(pieces)).hexdigest()


def _tell(value: object, pieces: list[bytes]) -> None:
    """What tells `value` from every other one: type, length, and then its parts, each so as well."""
    match value:
        case None | bool() | int() | str():
            body = str(value).encode("utf-8", "surrogateescape")
            pieces += (f"{type(value).__name__}:{len(body)}:".encode(), body)
        case tuple():
            pieces.append(f"tuple:{len(value)}:".encode())
            for item in value:
                _tell(item, pieces)
        case _ if isinstance(value, _SOURCES):
            pieces.append(b"input:")
        case _:
            kind: type = type(value)
            told = _told(kind)
            pieces.append(f"{kind.__name__}:{len(told)}:".encode())
            for name in told:
                _tell(name, pieces)
                _tell(getattr(value, name), pieces)


@cache
def _told(kind: type) -> tuple[str, ...]:
    """Fields of a step's values."""
    if not is_dataclass(kind):
        raise TypeError(f"{kind.__name__} has no place in a cache key")
    return tuple(one.name for one in fields(kind) if (kind, one.name) not in _LEFT_OUT)
