"""The table written out: docs/configuration.md and the commented default file.

`python -m agent.settings.reference` prints the page; `--file` prints the default file; `--write PATH` writes the page
there; `--check PATH` says whether it is current (exit code 1 where not).
"""

import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

from agent.settings.field import FILE_VARIABLE, Field
from agent.settings.fields import FIELDS, LISTS, SECTION_HELP
from agent.settings.kind import Kind
from agent.settings.loader import DEFAULT_FILE

_INTRODUCTION = f"""# Configuration

<!-- written by `python -m agent.settings.reference --write docs/configuration.md`; do not edit -->

A value comes from a flag, else the environment, else the file, else the default. The file is TOML: the one that
`--config` or `{FILE_VARIABLE}` names, else `{DEFAULT_FILE}` where it exists.
`shoal config` prints every value in effect and where it came from.

All mistakes are reported at once, each with its key, where it stands, and what would be right.

- Sizes: `10GB` counts in 1000s, `10GiB` in 1024s. Durations: `500ms`, `30s`, `5m`, `1h30m`, `7d`.
- Rates: `50mbit` (bits) or `10MB/s` (bytes) a second. Addresses: `HOST:PORT`, `[IPv6]:PORT`, `unix:/PATH`.
- `none` takes back an optional value that a weaker place gave. `~` is the home directory.
- Every listener is on loopback unless `security.insecure_cluster = true`; see there.
"""

_FILE_WIDTH = 110

_FILE_HEAD = f"""# Shoal's configuration, every key with its default. Save it as {DEFAULT_FILE} and
# uncomment what should differ. The environment and flags win over this file; `shoal config` shows the outcome.
"""


def render_page() -> str:
    """docs/configuration.md."""
    parts = [_INTRODUCTION]
    for section, text in SECTION_HELP.items():
        fields = [row for row in FIELDS if row.section == section]
        parts.append(f"## [{section}]\n\n{text}\n\n" + _table([_page_row(row) for row in fields]))
    for row in LISTS:
        fields_table = _table([_element_row(f) for f in row.fields], ("Key", "Default", "What it does"))
        one_line = f"On one line, as `{row.environment}` or `{row.flag}`: {_code_list(row.short)}"
        parts.append(
            f"## [[{row.key}]]\n\n{row.help}\n\n{fields_table}\n{one_line}.\nDefault: `{row.default}`.\n"
        )
    return "\n".join(parts)


def render_file() -> str:
    """The commented default file; every key is commented out, so it changes nothing as it stands."""
    parts = [_FILE_HEAD]
    for section, text in SECTION_HELP.items():
        keys = [_file_lines(row) for row in FIELDS if row.section == section]
        parts.append("\n".join([_comment(text), f"[{section}]", *keys]) + "\n")
    for row in LISTS:
        keys = [_file_lines(f) for f in row.fields]
        parts.append(
            "\n".join([_comment(row.help), f"# Default: {row.default}", f"#[[{row.key}]]", *keys]) + "\n"
        )
    return "\n".join(parts)


def _page_row(row: Field) -> tuple[str, ...]:
    return (
        f"`{row.key}`",
        _default(row),
        f"`{row.environment}`<br>`{row.flag}`",
        f"{row.help} Takes {_code(row)}.",
    )


def _element_row(row: Field) -> tuple[str, ...]:
    return f"`{row.key}`", "required" if row.required else _default(row), f"{row.help} Takes {_code(row)}."


def _default(row: Field) -> str:
    if row.default_note:
        return row.default_note
    return "none" if row.default is None else f"`{row.default}`" if row.default else '`""`'


def _code(row: Field) -> str:
    return row.expected.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def _code_list(short: str) -> str:
    form, such_as, example = short.partition(" such as ")
    return f"{form}{such_as}`{example.strip(chr(34))}`"


def _table(
    rows: Sequence[tuple[str, ...]],
    head: tuple[str, ...] = ("Key", "Default", "Environment, flag", "What it does"),
) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def _file_lines(row: Field) -> str:
    text = row.default if row.default is not None else row.kind.example
    note = f" Default: {_default(row)}." if row.default is None and not row.required else ""
    return f"{_comment(row.help + note)}\n#{row.key} = {_toml_value(row.kind, text)}"


def _comment(text: str) -> str:
    return textwrap.fill(
        text, _FILE_WIDTH, initial_indent="# ", subsequent_indent="# ", break_long_words=False
    )


def _toml_value(kind: Kind, text: str) -> str:
    if list in kind.toml_types:
        return "[]" if not text else str(text.split(","))
    return text if str not in kind.toml_types else f'"{text}"'


def main(arguments: Sequence[str]) -> int:
    match list(arguments):
        case []:
            sys.stdout.write(render_page())
        case ["--file"]:
            sys.stdout.write(render_file())
        case ["--write", path]:
            Path(path).write_text(render_page(), encoding="utf-8")
        case ["--check", path]:
            if not Path(path).exists() or Path(path).read_text(encoding="utf-8") != render_page():
                sys.stderr.write(
                    f"{path} is not current: run python -m agent.settings.reference --write {path}\n"
                )
                return 1
        case _:
            sys.stderr.write(
                "usage: python -m agent.settings.reference [--file | --write PATH | --check PATH]\n"
            )
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
