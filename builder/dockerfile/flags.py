"""An instruction's flags, checked against those it knows. PURE."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from builder.dockerfile.failure import Malformed, did_you_mean


class Kind(Enum):
    TEXT = auto()
    TEXTS = auto()  # may be given several times
    SWITCH = auto()


@dataclass(frozen=True, slots=True)
class Flags:
    """What was given; the accessors answer with what holds where a flag was not."""

    given: Mapping[str, tuple[str, ...]]

    def text(self, name: str) -> str | None:
        return self.given[name][-1] if name in self.given else None

    def texts(self, name: str) -> tuple[str, ...]:
        return self.given.get(name, ())

    def switch(self, name: str) -> bool | None:
        return self.given[name][-1].lower() != "false" if name in self.given else None


def parse_flags(keyword: str, words: tuple[str, ...], known: Mapping[str, Kind]) -> Flags:
    """Raises Malformed for a flag that is unknown, is given twice, or lacks its value."""
    given: dict[str, tuple[str, ...]] = {}
    for word in words:
        name, equals, value = word.removeprefix("--").partition("=")
        near = f"--{name}"
        if (kind := known.get(name)) is None:
            remedy = did_you_mean(near, [f"--{flag}" for flag in known]) if known else "it has no flags"
            raise Malformed(f"{keyword} has no flag {near}: {remedy}", near)
        if name in given and kind is not Kind.TEXTS:
            raise Malformed(f"{near} is given twice: {keyword} takes it once", near)
        if (kind is not Kind.SWITCH or equals) and not (equals if kind is not Kind.SWITCH else value):
            raise Malformed(f"{near} needs a value: {near}=...", near)
        if kind is Kind.SWITCH and value.lower() not in ("", "true", "false"):
            raise Malformed(f"{near}={value} is not possible: it is true or false", near)
        given[name] = (*given.get(name, ()), value)
    return Flags(given)
