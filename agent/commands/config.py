"""`shoal config`: the settings in effect, and where each comes from."""

import json
from pathlib import Path

import click

from agent.commands.running import config_flag, load
from agent.commands.sectioned_command import SectionedCommand
from agent.settings.flags import settings_flags
from agent.settings.reference import render_file
from agent.settings.report import render_json, render_text


@click.command(cls=SectionedCommand)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, by key.")
@click.option("--default", is_flag=True, help="Print a commented file of every key and its default.")
@click.option("--check", is_flag=True, help="Print nothing but the mistakes.")
@config_flag
@settings_flags()
def config(as_json: bool, default: bool, check: bool, config_file: Path | None, **flags: object) -> None:
    """Show the settings in effect and where each comes from: flag, environment, file or default.

    \b
    Examples:
      shoal config
      shoal config --default > shoal.toml
      shoal config --check --config shoal.toml

    Exit codes: 0 all is well, 2 there are mistakes; all of them are listed at once.
    """
    if sum((as_json, default, check)) > 1:
        raise click.UsageError("give one of --json, --default and --check")
    if default:
        click.echo(render_file(), nl=False)
        return
    settings = load(config_file, flags, logs=False)
    if as_json:
        click.echo(json.dumps(render_json(settings), indent=2))
    elif not check:
        click.echo(render_text(settings))
