"""`shoal standby`: a process that has everything loaded and carries commands out (agent/standby serves them).

What it loads, and rehearses so that nothing is done for the first time when a command comes: that is mostly a build,
which uses what other commands use too.
"""

import os
import shutil
import socket
import stat
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import click

from agent.commands.running import config_flag, fail, load, run_main
from agent.commands.sectioned_command import SectionedCommand
from agent.content.errors import DiskError
from agent.settings.flags import settings_flags
from agent.settings.settings import Settings
from agent.standby.keeper import Taken, listen
from agent.standby.server import serve_standby

_STANDBY_SECONDS = 600.0
# What Dockerfiles are made of; but RUN, which a rehearsal would really do.
_REHEARSED = """\
ARG TAG=1
FROM base:$TAG AS a
ENV A=1 B="two words"
WORKDIR /w
COPY --chown=1:1 Dockerfile /w/
FROM base:1
LABEL a=b
COPY --from=a /w /w
COPY *Dockerfile /b/
EXPOSE 80
CMD ["/b"]
"""


@click.command(cls=SectionedCommand)
@config_flag
@settings_flags("standby")
@click.pass_context
def standby(ctx: click.Context, /, config_file: Path | None, **flags: object) -> None:
    """Have everything loaded, so that other commands start in milliseconds.

    An agent starts one by itself when commands come. Where the agent runs as another user than those who use the
    commands, systemd does: deploy/systemd/shoal-standby.socket. Standard input may be the listening socket.

    \b
    Example:
      shoal standby

    Exit codes: 0 nobody came for ten minutes, there is newer code on the disk, or another one runs; 2 mistaken
    configuration; 6 the socket cannot be made.
    """
    main = ctx.find_root().command
    listener = _standby_listener(load(config_file, flags))
    if listener is not None:
        _load_everything()
        rehearsal = Path(f"{listener.getsockname()}.rehearsal")
        prepare_rehearsal(rehearsal)
        try:
            serve_standby(
                listener,
                lambda arguments: run_main(main, arguments),
                lambda: rehearse(main, rehearsal),
                _STANDBY_SECONDS,
                lambda: click.echo("ready"),
            )
        finally:
            shutil.rmtree(rehearsal, ignore_errors=True)


def _standby_listener(settings: Settings) -> socket.socket | None:
    """None where another process has it."""
    if stat.S_ISSOCK(os.fstat(0).st_mode):
        listener = socket.socket(fileno=os.dup(0))
        os.dup2(os.open(os.devnull, os.O_RDWR), 0)
        return listener
    path = settings.standby.socket
    if path is None:
        raise click.UsageError("standby.socket is none: give --standby-socket a path")
    try:
        return listen(path)
    except Taken:
        click.echo(f"another one listens on {path}")
        return None
    except OSError as error:
        fail(DiskError(f"cannot listen on {path}: {error.strerror}"))


def prepare_rehearsal(directory: Path) -> None:
    """A context to build in, and a store, in a place of their own that every standby process uses again."""
    with suppress(FileExistsError):
        directory.mkdir(mode=0o700)
    if directory.is_symlink() or directory.stat().st_uid != os.getuid():
        fail(DiskError(f"{directory} is another user's: remove it"))
    (directory / "base.Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    (directory / "Dockerfile").write_text(_REHEARSED)


def rehearse(main: click.Command, directory: Path) -> None:
    """A build of which everything is known uses most of what other commands use, too."""
    data, base = directory / "data", directory / "data" / "base"
    build = ["build", "--config", os.devnull, "--node-data-dir", str(data), "-q", str(directory)]
    if not base.exists():  # only its end makes it: nobody else is asked for an image of this name
        data.mkdir(exist_ok=True)
        run_main(
            main, [*build, "-t", "base:1", "-f", str(directory / "base.Dockerfile"), "--iidfile", str(base)]
        )
    run_main(main, [*build, "-t", "a:1"])


def _load_everything() -> None:
    """What any of the commands would import on its way."""
    import_module("difflib")  # click's, with every short flag
    for package in ("agent", "builder"):
        for found in walk_packages(import_module(package).__path__, f"{package}."):
            import_module(found.name)
