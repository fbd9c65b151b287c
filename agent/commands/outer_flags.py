"""`load_merged`: the settings of a command below a group: its own flags, and those that stood before its name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from agent.commands.running import load
from agent.settings.settings import Settings


def keep_for_commands(ctx: click.Context, config_file: Path | None, flags: Mapping[str, Any]) -> None:
    """Of the group, for the command that follows."""
    ctx.obj = (config_file, {name: value for name, value in flags.items() if value is not None})


def load_merged(config_file: Path | None, flags: Mapping[str, Any]) -> Settings:
    """The command's own flags win."""
    kept: tuple[Path | None, dict[str, Any]] = click.get_current_context().obj or (None, {})
    outer_file, outer = kept
    given = {name: value for name, value in flags.items() if value is not None}
    return load(config_file or outer_file, outer | given, logs=False)
