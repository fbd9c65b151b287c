"""`settings_of`: what a command line in a deployment file means to the real `shoal` command, without running it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from agent.settings.flags import given_flags
from agent.settings.loader import load_settings
from agent.settings.settings import Settings
from shoal import main

CONFIG_PATH = Path("/etc/shoal/shoal.toml")


def settings_of(
    arguments: Sequence[str], *, environ: Mapping[str, str] | None = None, file: Path | None = None
) -> Settings:
    """`arguments` after the word `shoal`. Where they name CONFIG_PATH, `file` stands in for it.

    Raises click.UsageError for what the command does not know, SettingsError for mistaken values.
    """
    name, *rest = arguments
    command = main.get_command(click.Context(main), name)
    if command is None:
        raise click.UsageError(f"no command {name}")
    parameters = command.make_context(name, rest).params
    named = parameters.pop("config_file")
    assert named in (None, CONFIG_PATH), f"the file is {named}, and an example of it is not"
    assert named is None or file is not None
    return load_settings(
        file if named else None, environ or {}, given_flags(parameters), Path("/nonexistent")
    )


def known_flags() -> frozenset[str]:
    """Every flag of every command."""
    context = click.Context(main)
    commands = [main, *(main.get_command(context, name) for name in main.list_commands(context))]
    return frozenset(
        name
        for command in commands
        if command
        for parameter in command.params
        for name in (*parameter.opts, *parameter.secondary_opts)
        if name.startswith("--")
    ) | {"--help"}
