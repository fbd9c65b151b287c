"""Flags of the command line from the table: `@settings_flags("proxy")` gives a command --proxy-listen and so on.

click is imported only when a command is being made, so the settings can be read without it. Values are not parsed
here: they go to `load_settings` as texts and are checked with everything else.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from agent.settings import kind
from agent.settings.field import Field, ListField
from agent.settings.fields import rows

Command = TypeVar("Command", bound=Callable[..., Any])

SETTING_PREFIX = "setting_"


def settings_flags(*sections: str) -> Callable[[Command], Command]:
    """A decorator: the flags of these sections (lists such as `upstreams` are sections too), all of them where none is
    named. The command takes them as `**flags` and hands these to `given_flags`.
    """
    chosen = [row for row in rows() if not sections or _section_of(row) in sections]

    def decorate(command: Command) -> Command:
        for row in reversed(chosen):  # click lists what was added last first
            command = _option(row)(command)
        return command

    return decorate


def given_flags(parameters: Mapping[str, object]) -> dict[str, str]:
    """The settings among a command's parameters, by key, as `load_settings` takes them."""
    return {
        row.path: value if isinstance(value, str) else str(value).lower()
        for row in rows()
        if (value := parameters.get(parameter_name(row))) is not None
    }


def parameter_name(row: Field | ListField) -> str:
    """The Python name under which click passes the flag on."""
    return SETTING_PREFIX + row.path.replace(".", "_")


def _section_of(row: Field | ListField) -> str:
    return row.section if isinstance(row, Field) else row.key


def _option(row: Field | ListField) -> "Callable[[Command], Command]":
    import click

    text = f"{row.help} {_default_text(row)}".strip()
    if isinstance(row, Field) and row.kind is kind.BOOLEAN:
        return click.option(f"{row.flag}/--no-{row.flag[2:]}", parameter_name(row), default=None, help=text)
    return click.option(row.flag, parameter_name(row), metavar=metavar(row), default=None, help=text)


def metavar(row: Field | ListField) -> str:
    return row.kind.metavar if isinstance(row, Field) else "LIST"


def _default_text(row: Field | ListField) -> str:
    default = row.default_note if isinstance(row, Field) and row.default_note else row.default
    return f"[default: {default}]" if default else ""
