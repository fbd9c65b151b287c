"""`LazyGroup`: a click group that imports a command when it is asked for.

A node is most of a second of imports, and `shoal status`, which a script may run once a second, needs none of it.
The summaries of `--help` stand in the table, so that listing the commands imports none of them (a test compares).
"""

from dataclasses import dataclass
from importlib import import_module

import click

from agent.commands.exit_codes import INTERRUPTED


@dataclass(frozen=True, slots=True)
class LazyCommand:
    """`place` is MODULE:NAME of a click command."""

    place: str
    summary: str

    def load(self) -> click.Command:
        module, _, name = self.place.partition(":")
        command = getattr(import_module(module), name)
        assert isinstance(command, click.Command)
        return command


class LazyGroup(click.Group):
    """Commands come from `lazy`, in its order, beside those that were added."""

    def __init__(self, *args: object, lazy: dict[str, LazyCommand], **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *self.lazy]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in self.lazy:
            return self.lazy[cmd_name].load()
        return super().get_command(ctx, cmd_name)

    def invoke(self, ctx: click.Context) -> object:
        """Ctrl-C while a command is loaded is the same as later."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("shoal: interrupted", err=True)
            ctx.exit(INTERRUPTED)

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, command.get_short_help_str(200)) for name, command in self.commands.items()]
        rows += [(name, command.summary) for name, command in self.lazy.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
