"""How a command reads its settings and runs its async part: failures become one line and an exit code, never a
traceback.
"""

import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NoReturn, TypeVar

import click
import trio

from agent.commands.exit_codes import INTERRUPTED, exit_code_of
from agent.content.errors import ShoalError
from agent.content.redaction import redact
from agent.settings.flags import given_flags
from agent.settings.loader import load_settings
from agent.settings.settings import Settings
from agent.telemetry.logs import configure_logs

T = TypeVar("T")
Command = TypeVar("Command", bound=Callable[..., object])


def config_flag(command: Command) -> Command:
    return click.option(
        "--config", "config_file", type=click.Path(path_type=Path), help="Configuration file (TOML)."
    )(command)


def load(config_file: Path | None, flags: dict[str, object], *, logs: bool = True) -> Settings:
    """The settings; exits with all mistakes listed where there are some. `logs`: write them to standard error."""
    try:
        settings = load_settings(config_file, os.environ, given_flags(flags))
    except ShoalError as error:
        fail(error)
    configure_logs(settings.log.level if logs else "error", settings.log.format)
    return settings


def run_async(work: Callable[..., Awaitable[T]], *args: object) -> T:
    """Run a command's async part. A ShoalError ends the process with its exit code, Ctrl-C with 130."""
    try:
        return trio.run(_unwrapped, work, args)
    except _Failed as failed:
        fail(failed.error)
    except KeyboardInterrupt:
        click.echo("shoal: interrupted", err=True)
        sys.exit(INTERRUPTED)


class _Failed(Exception):
    def __init__(self, error: ShoalError) -> None:
        super().__init__(str(error))
        self.error = error


async def _unwrapped(work: Callable[..., Awaitable[T]], args: tuple[object, ...]) -> T:
    """A ShoalError that came out of nurseries, wrapped in groups, is the command's failure all the same."""
    try:
        return await work(*args)
    except ShoalError as error:
        raise _Failed(error) from None
    except BaseExceptionGroup as group:
        expected, rest = group.split(ShoalError)
        if rest is not None or expected is None:
            interrupted, others = group.split(KeyboardInterrupt)
            if interrupted is not None and others is None:
                raise KeyboardInterrupt from None
            raise
        raise _Failed(_first(expected)) from None


def _first(group: BaseExceptionGroup[ShoalError]) -> ShoalError:
    inner: BaseException = group
    while isinstance(inner, BaseExceptionGroup):
        inner = inner.exceptions[0]
    assert isinstance(inner, ShoalError)
    return inner


def fail(error: ShoalError) -> NoReturn:
    click.echo(f"shoal: {redact(str(error))}", err=True)
    sys.exit(exit_code_of(error))


async def wait_stop_signal() -> None:
    """Until SIGTERM or SIGINT."""
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            return
