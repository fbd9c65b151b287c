"""`shoal import`: a root file system, as a tar, becomes an image."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path

import click

from agent.commands.announcing import announce
from agent.commands.byte_progress import ByteProgress
from agent.commands.local_store import local_store, told_failures
from agent.commands.running import config_flag, load
from agent.commands.sectioned_command import SectionedCommand
from agent.commands.streams import open_input
from agent.content.errors import InputError, SourceError
from agent.content.platform import Platform
from agent.images.import_tar import ImportOptions, import_tar
from agent.images.names import given_name
from agent.images.tar_reader import Read
from agent.settings.flags import settings_flags

_SILENCE_SECONDS = 60.0


@click.command("import", cls=SectionedCommand)
@click.argument("source", metavar="FILE|URL|-")
@click.argument("name", metavar="[NAME[:TAG]]", required=False)
@click.option(
    "--change", "-c", "changes", multiple=True, metavar="INSTRUCTION", help="Change the config: 'CMD ...'."
)
@click.option("--message", "-m", default="", help="Comment. [default: Imported from ...]")
@click.option("--platform", metavar="OS/ARCH[/VARIANT]", help="What it runs on. [default: this machine's]")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@config_flag
@settings_flags("node", "store", "upstreams")
def import_(
    source: str,
    name: str | None,
    changes: tuple[str, ...],
    message: str,
    platform: str | None,
    as_json: bool,
    config_file: Path | None,
    **flags: object,
) -> None:
    """Make an image of one layer from a tar of a root file system, and print its ID.

    The tar may be compressed; it comes from a file, an http or https URL, or standard input (-).

    \b
    Examples:
      shoal import root.tar team/base:1
      tar -C rootfs -c . | shoal import -c 'CMD ["/bin/sh"]' -m 'by hand' - team/base:2
      shoal import https://example.org/rootfs.tar.xz team/base:3

    Exit codes: 0 done, 2 no such file, mistaken name or change, 5 the URL cannot be read, 6 disk, 7 no tar.
    """
    settings = load(config_file, flags, logs=False)
    with told_failures():
        wanted = None if name is None else given_name(name, settings.upstream_registries)
        is_url = "://" in source
        options = ImportOptions(
            changes,
            message,
            source if is_url else "-",
            None if platform is None else Platform.parse(platform),
        )
        opened = _open_url(source) if is_url else _open_file(source)
        with (
            opened as read,
            local_store(settings, create=True) as store,
            ByteProgress("Importing") as progress,
        ):
            image_id = import_tar(store, read, wanted, options, progress)
            announce(settings, store)
    click.echo(json.dumps({"image_id": str(image_id), "name": name}) if as_json else str(image_id))


@contextmanager
def _open_file(source: str) -> Iterator[Read]:
    with open_input(source, "import") as file:
        yield file.read


@contextmanager
def _open_url(url: str) -> Iterator[Read]:
    """Raises InputError, SourceError."""
    if not url.lower().startswith(("http://", "https://")):
        raise InputError(f"{url[:100]!r} is neither http nor https")
    try:
        answer = urllib.request.urlopen(url, timeout=_SILENCE_SECONDS)
    except (urllib.error.URLError, HTTPException, ValueError, OSError) as error:
        raise SourceError(f"cannot read {url}: {getattr(error, 'reason', error)}") from None
    expected = answer.headers.get("Content-Length")
    got = 0

    def read(limit_bytes: int) -> bytes:
        nonlocal got
        try:
            piece: bytes = answer.read(limit_bytes)
        except (HTTPException, OSError) as error:
            raise SourceError(f"{url} broke off after {got} bytes: {error}") from None
        got += len(piece)
        if not piece and expected is not None and got != int(expected):
            raise SourceError(f"{url} broke off after {got} of {expected} bytes")
        return piece

    with answer:
        yield read
