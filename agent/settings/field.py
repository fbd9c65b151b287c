"""`Field` and `ListField`: what is known of one key of the configuration; its names in the environment and as a flag
follow from its path. PURE. The keys themselves are in fields.py.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.settings.kind import Kind

ENVIRONMENT_PREFIX = "SHOAL_"
# Names of the environment that are not keys.
FILE_VARIABLE = "SHOAL_CONFIG"


@dataclass(frozen=True, slots=True)
class Machine:
    """What defaults depend on."""

    host_name: str
    is_root: bool
    home: Path


# From the values of the same section (or list element) and the machine.
Derive = Callable[[Mapping[str, object], Machine], object]


@dataclass(frozen=True, slots=True)
class Field:
    """One key. Its default is a text of its kind, or derived; `default_note` then says from what.

    An `optional` key may be None: no default, and the text `none` takes it back.
    """

    section: str
    key: str
    kind: Kind
    default: str | None
    help: str
    derive: Derive | None = None
    default_note: str = ""
    optional: bool = False
    required: bool = False
    secret: bool = False

    @property
    def path(self) -> str:
        return f"{self.section}.{self.key}"

    @property
    def environment(self) -> str:
        return environment_name(self.path)

    @property
    def flag(self) -> str:
        return flag_name(self.path)

    @property
    def expected(self) -> str:
        return f"{self.kind.expected}, or none" if self.optional else self.kind.expected


@dataclass(frozen=True, slots=True)
class ListField:
    """A list of tables, `[[key]]` in the file. `short` says how one line writes it, elements separated by commas.

    A short element is `FIRST` or `FIRST=SECOND`: the values of the first two of `fields`.
    """

    key: str
    fields: tuple[Field, ...]
    short: str
    default: str
    help: str

    @property
    def path(self) -> str:
        return self.key

    @property
    def environment(self) -> str:
        return environment_name(self.key)

    @property
    def flag(self) -> str:
        return flag_name(self.key)

    @property
    def expected(self) -> str:
        return self.short


def environment_name(path: str) -> str:
    return ENVIRONMENT_PREFIX + path.upper().replace(".", "_")


def flag_name(path: str) -> str:
    return "--" + path.replace(".", "-").replace("_", "-")
