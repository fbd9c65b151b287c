"""The kinds of values a key may have: what a person writes, what the code gets, how it is written back. PURE.

A TOML file has types of its own, so a kind also says which of them it takes; environment and flags are texts. Paths
keep a leading `~` here: whose home that is, is known where the settings are assembled.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.content.errors import InputError
from agent.content.reference import parse_registry
from agent.settings.address import EXPECTED, EXPECTED_TCP, parse_address, parse_tcp_address
from agent.settings.values import (
    format_duration,
    format_rate,
    format_size,
    parse_builder,
    parse_duration,
    parse_http_url,
    parse_name,
    parse_push_prefix,
    parse_push_target,
    parse_rate,
    parse_size,
    parse_tag_pattern,
)

TOML_TYPE_NAMES = {
    bool: "a boolean",
    int: "a number",
    float: "a number with a fraction",
    str: "a text",
    list: "a list",
    dict: "a table",
}


@dataclass(frozen=True, slots=True)
class Kind:
    """`expected` completes "expected ...". `parse` raises InputError. `example` stands in the default file where a key
    has no default."""

    expected: str
    parse: Callable[[str], object]
    metavar: str
    example: str = ""
    format: Callable[[Any], str] = str
    toml_types: tuple[type, ...] = (str,)

    def parse_toml(self, value: object) -> object:
        """`value` as tomllib gives it. Raises InputError."""
        if type(value) not in self.toml_types:
            raise InputError(f"{describe(value)} does not fit")
        if type(value) is bool:
            return self.parse("true" if value else "false")
        if isinstance(value, list):
            return self._parse_list(value)
        return self.parse(str(value))

    def _parse_list(self, values: list[object]) -> object:
        texts = [v for v in values if isinstance(v, str)]
        if len(texts) != len(values) or any("," in text or not text for text in texts):
            raise InputError("every element must be a text without commas")
        return self.parse(",".join(texts))


def describe(value: object) -> str:
    """What a TOML value is, for people."""
    return TOML_TYPE_NAMES.get(type(value), "a date or time")


def choice(*options: str) -> Kind:
    def parse(text: str) -> str:
        if text not in options:
            raise InputError("not one of the choices")
        return text

    return Kind(f"one of {', '.join(options)}", parse, "|".join(options))


def whole_number(least: int, most: int) -> Kind:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= 18):
            raise InputError("not a whole number")
        if not least <= int(text) <= most:
            raise InputError("out of range")
        return int(text)

    return Kind(f"a whole number from {least} to {most}", parse, "NUMBER", toml_types=(int,))


def size(least_bytes: int = 0) -> Kind:
    def parse(text: str) -> int:
        parsed = parse_size(text)
        if parsed < least_bytes:
            raise InputError("too small")
        return parsed

    least = f" of at least {format_size(least_bytes)}" if least_bytes else ""
    return Kind(f'a size{least} such as "10GB" or "512MiB"', parse, "SIZE", "100GB", format_size, (str, int))


def boolean() -> Kind:
    def parse(text: str) -> bool:
        lowered = text.lower()
        if lowered in ("true", "1", "yes", "on"):
            return True
        if lowered in ("false", "0", "no", "off"):
            return False
        raise InputError("neither true nor false")

    return Kind(
        "true or false, without quotes", parse, "BOOLEAN", "", lambda v: "true" if v else "false", (bool,)
    )


def _parse_path(text: str) -> Path:
    if "\0" in text or "," in text:
        raise InputError("a path has neither commas nor zero bytes here")
    if not (text.startswith(("/", "~/"))):
        raise InputError("not an absolute path")
    return Path(text)


def _parse_paths(text: str) -> tuple[Path, ...]:
    return tuple(_parse_path(part.strip()) for part in text.split(",")) if text else ()


def _parse_builders(text: str) -> tuple[str, ...]:
    return tuple(parse_builder(part.strip()) for part in text.split(",")) if text else ()


def _parse_optional_name(text: str) -> str:
    return parse_name(text) if text else ""


def _parse_optional_url(text: str) -> str:
    return parse_http_url(text) if text else ""


def _format_paths(paths: tuple[Path, ...]) -> str:
    return ",".join(map(str, paths))


ADDRESS = Kind(f'{EXPECTED}, such as "127.0.0.1:5050"', parse_address, "ADDRESS", "127.0.0.1:9464")
TCP_ADDRESS = Kind(f'{EXPECTED_TCP}, such as "127.0.0.1:5051"', parse_tcp_address, "ADDRESS", "10.0.0.7:5051")
BOOLEAN = boolean()
DURATION = Kind(
    'a duration such as "500ms", "30s", "5m" or "1h"', parse_duration, "DURATION", "30s", format_duration
)
RATE = Kind('a rate such as "50mbit" or "10MB/s"', parse_rate, "RATE", "50mbit", format_rate, (str, int))
PATH = Kind('an absolute path, such as "/var/lib/shoal" or "~/shoal"', _parse_path, "PATH", "/var/lib/shoal")
PATHS = Kind(
    'absolute paths, such as ["/root/.docker/config.json"]',
    _parse_paths,
    "PATH,...",
    "",
    _format_paths,
    (list,),
)
BUILDERS = Kind('ids of nodes (64 hex digits), or "*"', _parse_builders, "ID,...", "*", ",".join, (list,))
NAME = Kind('a name such as "node-17"', parse_name, "NAME", "node-17")
OPTIONAL_NAME = Kind('a name such as "zone-a", or ""', _parse_optional_name, "NAME")
URL = Kind('a URL such as "https://registry.example"', parse_http_url, "URL", "https://registry.example")
OPTIONAL_URL = Kind('a URL such as "http://10.0.0.1:5052", or ""', _parse_optional_url, "URL")
REGISTRY = Kind('a registry HOST or HOST:PORT such as "docker.io"', parse_registry, "REGISTRY", "docker.io")
TAG_PATTERN = Kind(
    'a pattern over REGISTRY/NAME:TAG such as "docker.io/library/*:latest" or "*"',
    parse_tag_pattern,
    "PATTERN",
    "*",
)
PUSH_PREFIX = Kind(
    'a repository of this cluster such as "team" or "team/app", or "*"', parse_push_prefix, "PREFIX", "team"
)
PUSH_TARGET = Kind(
    'REGISTRY or REGISTRY/NAME such as "registry.example/team"',
    parse_push_target,
    "TARGET",
    "registry.example/team",
)
