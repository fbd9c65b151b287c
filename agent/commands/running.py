"""How a command reads its settings and runs its async part: failures become one line and an exit code, never a
traceback. What is no ShoalError is a bug: it is told as one, with its traceback at log level debug alone.
"""

import errno
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import NoReturn, TypeVar

import click
import trio

from agent.commands.exit_codes import FAILURE, INTERRUPTED, exit_code_of
from agent.content.errors import DiskError, ShoalError
from agent.content.redaction import redact
from agent.settings.flags import given_flags
from agent.settings.loader import load_settings
from agent.settings.settings import Settings
from agent.telemetry.logs import configure_logs, describe_error

_FULL = (errno.ENOSPC, errno.EDQUOT)
T = TypeVar("T")
Command = TypeVar("Command", bound=Callable[..., object])


def config_flag(command: Command) -> Command:
    return click.option(
        "--config", "config_file", type=click.Path(path_type=Path), help="Configuration file (TOML)."
    )(command)


def load(config_file: Path | None, flags: dict[str, object], *, logs: bool = True) -> Settings:
    """The settings; exits with all mistakes listed where there are some. `logs`: write them to standard error, as a
    daemon does; a command that has its own words logs errors alone, and everything at level debug."""
    try:
        settings = load_settings(config_file, os.environ, given_flags(flags))
    except ShoalError as error:
        fail(error)
    level = settings.log.level
    configure_logs(level if logs or level == "debug" else "error", settings.log.format)
    return settings


def run_main(main: click.Command, arguments: list[str]) -> None:
    """All of a command line; output that nobody can take (a full disk) is told of as any failure is."""
    try:
        main(arguments, prog_name="shoal")
    except OSError as error:
        fail(DiskError(f"cannot write: {error.strerror}" if error.filename is None else str(error)))


def run_async(work: Callable[..., Awaitable[T]], *args: object) -> T:
    """Run a command's async part. A ShoalError ends the process with its exit code, Ctrl-C with 130."""
    try:
        # Ctrl-C arrives where the main task waits, never in the middle of a step of another task.
        return trio.run(_unwrapped, work, args, restrict_keyboard_interrupt_to_checkpoints=True)
    except _Failed as failed:
        fail(failed.error)
    except KeyboardInterrupt:
        click.echo("shoal: interrupted", err=True)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        raise  # of whoever reads our output; click ends quietly
    except Exception as error:  # noqa: BLE001 -- the last resort, which lets no traceback out
        confess(error)


class _Failed(Exception):
    """Carries a ShoalError past trio.run."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(str(error))
        assert isinstance(error, ShoalError)
        self.error = error


async def _unwrapped(work: Callable[..., Awaitable[T]], args: tuple[object, ...]) -> T:
    """A ShoalError that came out of nurseries, wrapped in groups, is the command's failure all the same."""
    try:
        return await work(*args)
    except ShoalError as error:
        raise _Failed(error) from None
    except BaseExceptionGroup as group:
        for kind in (KeyboardInterrupt, BrokenPipeError):
            if (found := group.subgroup(kind)) is not None:
                raise _first(found) from None
        expected, rest = group.split(ShoalError)
        if rest is not None or expected is None:
            raise
        raise _Failed(_first(expected)) from None


def _first(error: BaseException) -> BaseException:
    inner = error
    while isinstance(inner, BaseExceptionGroup):
        inner = inner.exceptions[0]
    return inner


def confess(error: Exception) -> NoReturn:
    """A bug, unless it is our output that is full."""
    cause = _first(error)
    if isinstance(cause, OSError) and cause.errno in _FULL and cause.filename is None:
        fail(DiskError(f"cannot write: {cause.strerror}"))
    if logging.getLogger().isEnabledFor(logging.DEBUG):
        traceback.print_exception(error)
    click.echo(f"shoal: this is a bug: {redact(describe_error(error))}", err=True)
    click.echo("shoal: SHOAL_LOG_LEVEL=debug shows where; please report it", err=True)
    sys.exit(FAILURE)


def fail(error: ShoalError) -> NoReturn:
    click.echo(f"shoal: {redact(str(error))}", err=True)
    sys.exit(exit_code_of(error))


async def finish_or_end(work: Callable[[], Awaitable[None]]) -> None:
    """`work` is ended in order, threads too, by Ctrl-C (which comes to the main task, and cancels the others) and by
    what else asks a command to end: a CI job that is cancelled, a terminal that is gone. All are KeyboardInterrupt."""
    ended = False

    async def watch(signals: AsyncIterator[int], scope: trio.CancelScope) -> None:
        nonlocal ended
        async for _ in signals:
            ended = True
            scope.cancel()

    async def finish(scope: trio.CancelScope) -> None:
        await work()
        scope.cancel()

    with _asked_to_end() as signals:
        async with trio.open_nursery() as nursery:
            if signals is not None:
                nursery.start_soon(watch, signals, nursery.cancel_scope)
            nursery.start_soon(finish, nursery.cancel_scope)
    if ended:
        raise KeyboardInterrupt


def _asked_to_end() -> AbstractContextManager[AsyncIterator[int] | None]:
    """None where no signal comes to: beside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        return nullcontext()
    signals = [one for one in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(one) == signal.SIG_DFL]
    return trio.open_signal_receiver(*signals) if signals else nullcontext()


async def wait_stop_signal() -> None:
    """Until SIGTERM or SIGINT."""
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            return
