"""The command behind `make demo`. Exit codes: 0 all verified, 1 something was not, 130 interrupted."""

import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
import trio
from rich.console import Console

from agent.content.errors import InputError
from agent.content.reference import Reference
from tests.clients.daemon import DaemonFailed
from tests.demo.demo import Order, run_demo
from tests.demo.summary import Summary
from tests.demo.upstream import usual_kind
from tests.demo.view import View

_INTERRUPTED = 130


class _Image(click.ParamType[Reference]):
    name = "reference"

    def convert(
        self, value: object, param: click.Parameter | None, context: click.Context | None
    ) -> Reference:
        try:
            return Reference.parse(str(value))
        except InputError as error:
            self.fail(str(error), param, context)


def _in_a_directory(context: click.Context, param: click.Parameter, path: Path | None) -> Path | None:
    """Something new may be made there; better said now than when everything is done."""
    if path is not None and not path.absolute().parent.is_dir():
        raise click.BadParameter(f"{path.absolute().parent} is not a directory", context, param)
    return path


def _new(context: click.Context, param: click.Parameter, path: Path | None) -> Path | None:
    if path is not None and path.exists():
        raise click.BadParameter(f"{path} is there already", context, param)
    return _in_a_directory(context, param, path)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--image", type=_Image(), help="Pull this from its registry, with your credentials.")
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False),
    callback=_in_a_directory,
    help="Write the summary there, too.",
)
@click.option("--nodes", type=click.IntRange(1, 50), default=5, show_default=True)
@click.option(
    "--megabytes", type=click.IntRange(1), default=100, show_default=True, help="Of the made image."
)
@click.option(
    "--registry",
    type=click.Choice(["docker-registry", "fake"]),
    default=usual_kind,
    help="Where the made image is. [default: docker-registry where it is installed]",
)
@click.option(
    "--keep",
    type=click.Path(path_type=Path),
    callback=_new,
    help="Work in this new directory and leave it there.",
)
def main(
    image: Reference | None,
    json_file: Path | None,
    nodes: int,
    megabytes: int,
    registry: str,
    keep: Path | None,
) -> None:
    """Pull an image through a tracker and several agents on this machine, all at once, and verify the outcome."""
    _forget_configuration()
    view = View(Console(highlight=False))
    run = Run(
        Order(nodes, image, megabytes * 1_000_000, "fake" if registry == "fake" else "docker-registry"),
        view,
        keep,
    )
    trio.run(run.until_signal)
    if run.failure is not None:
        click.echo(f"demo: {run.failure}", err=True)
        sys.exit(1)
    if run.summary is None:
        click.echo("demo: interrupted; every process is stopped", err=True)
        sys.exit(_INTERRUPTED)
    view.show_summary(run.summary)
    if json_file is not None:
        json_file.write_text(json.dumps(run.summary.as_json(), indent=2) + "\n")
    sys.exit(0 if run.summary.verified else 1)


def _forget_configuration() -> None:
    """Nothing that this machine's own Shoal is told takes part."""
    for name in [name for name in os.environ if name.startswith("SHOAL_")]:
        del os.environ[name]
    os.environ["SHOAL_CONFIG"] = os.devnull


@dataclass
class Run:
    """One run; afterwards there is a summary or a failure, or it was interrupted."""

    order: Order
    view: View
    keep: Path | None
    summary: Summary | None = None
    failure: str | None = None

    async def until_signal(self) -> None:
        """Signals that come while everything is being stopped change nothing."""
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
            async with trio.open_nursery() as nursery:
                work = trio.CancelScope()
                nursery.start_soon(_cancel_on_signal, signals, work)
                with work:
                    await self._run()
                nursery.cancel_scope.cancel()

    async def _run(self) -> None:
        with _directory(self.keep) as directory:
            try:
                self.summary = await run_demo(self.order, directory, self.view)
            except (DaemonFailed, OSError) as error:
                self.failure = str(error)
            finally:
                self.view.stop_work()


async def _cancel_on_signal(signals: AsyncIterator[int], scope: trio.CancelScope) -> None:
    async for _ in signals:
        scope.cancel()


@contextmanager
def _directory(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        keep.mkdir()
        yield keep.resolve()
    else:
        with tempfile.TemporaryDirectory(prefix="shoal-demo-", ignore_cleanup_errors=True) as directory:
            yield Path(directory)


if __name__ == "__main__":
    main()
