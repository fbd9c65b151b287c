"""The kinds of values that `shoal simulate` takes, each of which says what would be right where a value is wrong."""

import re
from collections.abc import Callable

import click

from agent.content.errors import InputError
from agent.settings.values import parse_duration, parse_rate, parse_size
from tracker.simulation.scenarios import SCENARIOS


class Quantity(click.ParamType):  # type: ignore[type-arg]
    """More than nothing, with its unit."""

    def __init__(self, name: str, parse: Callable[[str], float], examples: str) -> None:
        self.name = name
        self._parse = parse
        self._examples = examples

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> object:
        if not isinstance(value, str):
            return value
        try:
            amount = self._parse(value.strip())
        except InputError as error:
            self.fail(f"{error} (such as {self._examples})", param, ctx)
        if amount <= 0:
            self.fail(f"it must be more than nothing (such as {self._examples})", param, ctx)
        return amount


class Count(click.IntRange):
    name = "whole number"


class ScenarioName(click.Choice[str]):
    """Any case; one that is not there is answered with those that are spelled alike."""

    def __init__(self) -> None:
        super().__init__(sorted(SCENARIOS), case_sensitive=False)

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        name = str(value).lower()
        if name not in SCENARIOS:
            from difflib import get_close_matches  # seldom needed

            near = get_close_matches(name, SCENARIOS)
            meant = f"; did you mean {' or '.join(near)}?" if near else "."
            self.fail(
                f"there is no scenario {value!r}{meant} `shoal simulate --list` tells of all.", param, ctx
            )
        return name


def parse_link_rate(text: str) -> float:
    """As rates everywhere, but never without a unit; `1gbps` and `100MBps`, as people write them, too."""
    if text.isdigit():
        raise InputError("the unit is missing")
    if match := re.fullmatch(r"(.*[0-9]\s*[a-z]{0,2})(bps)", text, re.ASCII | re.IGNORECASE):
        number, unit = match.groups()
        if unit not in ("bps", "Bps"):
            raise InputError(f"{unit} may be bits or bytes")
        return parse_rate(f"{number}B/s" if unit == "Bps" else f"{number}bit")
    return parse_rate(text)


SIZE = Quantity("SIZE", parse_size, "3GB or 300MiB")
RATE = Quantity("RATE", parse_link_rate, "100mbit, 1gbps or 10MB/s")
DURATION = Quantity("DURATION", parse_duration, "0.5ms or 20ms")
