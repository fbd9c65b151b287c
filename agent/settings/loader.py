"""Reads the configuration file and this machine, and hands both to the pure parser."""

import os
import socket
import tomllib
from collections.abc import Mapping
from pathlib import Path

from agent.settings.field import FILE_VARIABLE, Machine
from agent.settings.mistake import Mistake
from agent.settings.parser import parse_settings
from agent.settings.settings import Settings

DEFAULT_FILE = Path("/etc/shoal/shoal.toml")
_MAX_FILE_BYTES = 1024 * 1024


def load_settings(
    file: Path | None, environ: Mapping[str, str], flags: Mapping[str, str], default_file: Path = DEFAULT_FILE
) -> Settings:
    """`flags` is keyed as the file is (`proxy.listen`). Raises SettingsError with every mistake.

    A file named here or in SHOAL_CONFIG has to exist; the default file is read where it does.
    """
    named = file if file is not None else Path(environ[FILE_VARIABLE]) if environ.get(FILE_VARIABLE) else None
    source = "flag --config" if file is not None else f"environment {FILE_VARIABLE}"
    path = named if named is not None else default_file
    document: dict[str, object] = {}
    mistakes: tuple[Mistake, ...] = ()
    try:
        document = _read(path)
    except FileNotFoundError:
        if named is not None:
            mistakes = (Mistake("", source, f"there is no file {path}", "name one that exists, or none"),)
    except OSError as error:
        mistakes = (
            Mistake("", str(path), f"cannot be read: {error.strerror}", "make it readable for this user"),
        )
    except UnicodeDecodeError:
        mistakes = (Mistake("", str(path), "it is not UTF-8", "save it as UTF-8"),)
    except tomllib.TOMLDecodeError as error:
        mistakes = (Mistake("", str(path), f"it is not TOML: {error}", "see https://toml.io"),)
    except ValueError as error:
        mistakes = (Mistake("", str(path), str(error), "give a file of `shoal config --default`'s form"),)
    return parse_settings(document, environ, flags, this_machine(environ), str(path), mistakes)


def _read(path: Path) -> dict[str, object]:
    with path.open("rb") as file:
        content = file.read(_MAX_FILE_BYTES + 1)
    if len(content) > _MAX_FILE_BYTES:
        raise ValueError(f"it is larger than {_MAX_FILE_BYTES} bytes")
    return tomllib.loads(content.decode("utf-8"))


def this_machine(environ: Mapping[str, str]) -> Machine:
    home = environ.get("HOME", "")
    return Machine(
        host_name=socket.gethostname() or "localhost",
        is_root=os.geteuid() == 0,
        home=Path(home) if home.startswith("/") else Path("/"),
    )
