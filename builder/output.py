"""`Output`: where a build goes, and `parse_output`: `--output` as buildx has it.

Of the attributes that BuildKit's exporters know those are here that mean something here; the others are refused with
what there is. Two say what is always so, and are taken where they say so: times are the epoch's, documents are OCI's.
"""

from dataclasses import dataclass
from typing import Literal

from agent.content.errors import InputError
from builder.fields import parse_fields
from builder.layers.recipes import LayerCompression, Recipe, recipe_for

OutputKind = Literal["store", "oci", "docker", "tar", "local", "cacheonly"]

_KINDS: dict[str, OutputKind] = {
    "image": "store",
    "registry": "store",
    "store": "store",
    "oci": "oci",
    "docker": "docker",
    "tar": "tar",
    "local": "local",
    "cacheonly": "cacheonly",
}
_ALWAYS = {
    "oci-mediatypes": "documents have OCI's media types",
    "rewrite-timestamp": "times are the epoch's, and --keep-times keeps real ones",
}
_PACKING = ("compression", "compression-level", "force-compression")
_OF_ARCHIVE = ("dest", "tar", "name", *_PACKING, *_ALWAYS)
_ATTRIBUTES: dict[OutputKind, tuple[str, ...]] = {
    "store": ("name", "push", *_PACKING, *_ALWAYS),
    "oci": _OF_ARCHIVE,
    "docker": _OF_ARCHIVE,
    "tar": ("dest",),
    "local": ("dest",),
    "cacheonly": (),
}
_COMPRESSIONS: dict[str, LayerCompression] = {"uncompressed": "none", "gzip": "gzip", "zstd": "zstd"}
_TYPES = "type=image, registry, oci, docker, tar, local or cacheonly"


@dataclass(frozen=True, slots=True)
class Packing:
    """How layers are packed. None: what the request says, or what is usual. is_forced: the base image's, too."""

    compression: LayerCompression | None = None
    level: int | None = None
    is_forced: bool = False

    def recipe(self, compression: LayerCompression) -> Recipe:
        """compression: the request's. Raises InputError for a level that does not exist."""
        return recipe_for(self.compression or compression, self.level)


@dataclass(frozen=True, slots=True)
class Output:
    """`destination`: a file, or `-`; a directory for `local`, and for an archive with `is_directory`, which is an OCI
    layout then; "" for the store. name: more of them, with commas. is_pushed: to the registries that the names name."""

    kind: OutputKind
    destination: str = ""
    name: str = ""
    packing: Packing = Packing()
    is_directory: bool = False
    is_pushed: bool = False

    @property
    def is_image(self) -> bool:
        return self.kind in ("store", "oci", "docker")


def parse_output(text: str) -> Output:
    """`type=...[,dest=PATH][,name=NAME]...`, or a path as Docker has it. Raises InputError."""
    if not text:
        raise InputError(f"--output is empty: expected a directory, -, or {_TYPES}, with dest=PATH")
    if "=" not in text:
        return Output("tar", "-") if text == "-" else Output("local", text)
    every = {key for keys in _ATTRIBUTES.values() for key in keys}
    told = parse_fields(text, "output", {"type", *every})
    kind = _KINDS.get(told.get("type", ""))
    if kind is None:
        raise InputError(f"--output {text[:100]!r}: expected {_TYPES}")
    for key in told:
        if key != "type" and key not in _ATTRIBUTES[kind]:
            takes = ", ".join(_ATTRIBUTES[kind]) or "nothing"
            raise InputError(f"--output type={told['type']} takes {takes}, not {key}")
    for key, meaning in _ALWAYS.items():
        if not _is_true(told, key, default=True):
            raise InputError(f"--output {key}={told[key]} is not possible: {meaning}")
    is_directory = not _is_true(told, "tar", default=True)
    return Output(
        kind,
        _destination(kind, told, is_directory=is_directory),
        told.get("name", ""),
        _packing(told),
        is_directory,
        _is_true(told, "push", default=told["type"] == "registry"),
    )


def _destination(kind: OutputKind, told: dict[str, str], *, is_directory: bool) -> str:
    if kind in ("store", "cacheonly"):
        return ""
    destination = told.get("dest", "")
    if is_directory and destination in ("", "-"):
        raise InputError(f"--output type={kind},tar=false needs dest=DIRECTORY")
    if kind == "local" and destination in ("", "-"):
        raise InputError("--output type=local needs dest=DIRECTORY")
    return destination or "-"


def _packing(told: dict[str, str]) -> Packing:
    name, level = told.get("compression"), told.get("compression-level")
    if name is not None and name not in _COMPRESSIONS:
        raise InputError(f"--output compression={name[:100]}: expected {', '.join(_COMPRESSIONS)}")
    if level is not None and not (level.isascii() and level.isdecimal() and len(level) < 4):
        raise InputError(f"--output compression-level={level[:100]}: expected a number")
    packing = Packing(
        None if name is None else _COMPRESSIONS[name],
        None if level is None else int(level),
        _is_true(told, "force-compression", default=False),
    )
    if name is not None:
        packing.recipe("gzip")  # for its failure
    return packing


def _is_true(told: dict[str, str], key: str, *, default: bool) -> bool:
    """As Go's strconv.ParseBool."""
    text = told.get(key)
    if text is None:
        return default
    if text.lower() not in ("1", "t", "true", "0", "f", "false"):
        raise InputError(f"--output {key}={text[:100]}: expected true or false")
    return text.lower() in ("1", "t", "true")
