"""`local_store`: this node's store, for a command that works on it itself, with and without a running agent.

Several processes may use one store at a time. A failure inside the block ends the process with one line and its exit
code, as everywhere.
"""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import click

from agent.commands.exit_codes import INTERRUPTED
from agent.commands.running import confess, fail
from agent.content.errors import DiskError, NotFound, ShoalError
from agent.node.store_limits import store_limits
from agent.settings.settings import Settings
from agent.store.disk_errors import disk_errors
from agent.store.layout import Layout
from agent.store.reserve import reserve
from agent.store.store import Store


@contextmanager
def local_store(settings: Settings, *, create: bool = False) -> Iterator[Store]:
    """`create`: where there is none. Else NotFound is told: looking makes no store."""
    with told_failures():
        root = store_root(settings)
        if not create and not (root / "oci-layout").exists():
            raise NotFound(f"there are no images yet: {root} is not there")
        with Store(root, store_limits(settings)) as store:
            yield store


@contextmanager
def store_at_hand(settings: Settings) -> Iterator[Store | None]:
    """For a command that does without, too: None where there is none that this user can open."""
    root = store_root(settings)
    with ExitStack() as opened:
        store = None
        with suppress(DiskError), disk_errors("look for a store", root):
            if (root / "oci-layout").exists():
                store = opened.enter_context(Store(root, store_limits(settings)))
        yield store


@contextmanager
def store_reserve(settings: Settings) -> Iterator[None]:
    """For what makes room without the store: see agent/store/reserve.py. Raises DiskError."""
    layout = Layout(store_root(settings))
    if not layout.root.exists():
        yield
        return
    with disk_errors("use what is kept for a full disk", layout.root), reserve(layout.reserve):
        yield


def store_root(settings: Settings) -> Path:
    return settings.node.data_dir / "store"


@contextmanager
def told_failures() -> Iterator[None]:
    """One line on standard error, and an exit code. What is no ShoalError is a bug, and told as one."""
    try:
        yield
    except ShoalError as error:
        fail(error)
    except KeyboardInterrupt:
        click.echo("shoal: interrupted", err=True)
        sys.exit(INTERRUPTED)
    except (click.ClickException, click.Abort, BrokenPipeError):
        raise
    except Exception as error:  # noqa: BLE001 -- the last resort, which lets no traceback out
        confess(error)
