"""The three places a value may come from, each read into a `Layer`: parsed values by key, and the mistakes found. PURE.

Everything that is given is checked, also what a stronger layer overrides: a mistake that waits is still one.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from agent.content.errors import InputError
from agent.content.redaction import HIDDEN, redact
from agent.settings.field import ENVIRONMENT_PREFIX, FILE_VARIABLE, Field, ListField
from agent.settings.fields import FIELD_OF, LIST_OF, SECTION_HELP, rows
from agent.settings.kind import describe
from agent.settings.mistake import Mistake

# What Kubernetes puts into every container for a service called shoal or shoal-something; see
# "Accessing the Service" in its documentation. None of our own names ends like these (a test says so).
KUBERNETES_SERVICE = re.compile(
    r".*_(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT|PORT_[0-9]+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)"
)
_NONE = ("none", "")
_SHOWN_CHARACTERS = 80

Element = dict[str, object]


@dataclass(frozen=True, slots=True)
class Given:
    """A value and where it stands. The value of a list is a tuple of `Element`s."""

    value: object
    source: str


@dataclass(slots=True)
class Layer:
    values: dict[str, Given] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)


def read_document(document: Mapping[str, object], file_name: str) -> Layer:
    """`document` is what tomllib made of the file."""
    layer = Layer()
    for name, value in document.items():
        if name in LIST_OF:
            _read_tables(layer, LIST_OF[name], value, file_name)
        elif name not in SECTION_HELP:
            _unknown(
                layer,
                name,
                f"{file_name}: {name}",
                "section or key",
                name,
                [*SECTION_HELP, *LIST_OF, *FIELD_OF],
            )
        elif not isinstance(value, dict):
            layer.mistakes.append(
                Mistake(
                    name,
                    f"{file_name}: {name}",
                    f"{describe(value)} does not fit",
                    f"expected a table, [{name}]",
                )
            )
        else:
            known = {f.key: f for f in FIELD_OF.values() if f.section == name}
            _read_table(layer, layer.values, known, value, name, file_name)
    return layer


def read_environment(environ: Mapping[str, str]) -> Layer:
    layer = Layer()
    row_of = {row.environment: row for row in rows()}
    for name, text in environ.items():
        if not name.startswith(ENVIRONMENT_PREFIX) or name == FILE_VARIABLE:
            continue
        if name in row_of:
            _read_text(layer, row_of[name], text, f"environment {name}")
        elif not KUBERNETES_SERVICE.fullmatch(name):
            _unknown(layer, "", f"environment {name}", "variable", name, [*row_of, FILE_VARIABLE])
    return layer


def read_flags(flags: Mapping[str, str]) -> Layer:
    """`flags` is keyed as the file is: `proxy.listen`, `upstreams`."""
    layer = Layer()
    row_of = {row.path: row for row in rows()}
    for path, text in flags.items():
        if row := row_of.get(path):
            _read_text(layer, row, text, f"flag {row.flag}")
        else:
            _unknown(layer, path, f"flag {path}", "flag", path, row_of)
    return layer


def parse_short(row: ListField, text: str) -> tuple[Element, ...]:
    """The one-line form of a list. Raises InputError."""
    elements: list[Element] = []
    for part in filter(None, (p.strip() for p in text.split(","))):
        texts = part.split("=", 1)
        element: Element = {}
        for row_field, value in zip(row.fields, texts, strict=False):
            try:
                element[row_field.key] = row_field.kind.parse(value.strip())
            except InputError as error:
                raise InputError(
                    f"{row_field.key} in {_shown(part)}: {error}; expected {row_field.expected}"
                ) from None
        missing = [f for f in row.fields if f.required and f.key not in element]
        if missing:
            raise InputError(f"{missing[0].key} is missing in {_shown(part)}; expected {missing[0].expected}")
        elements.append(element)
    return tuple(elements)


def _read_text(layer: Layer, row: Field | ListField, text: str, source: str) -> None:
    try:
        layer.values[row.path] = Given(_parse_text(row, text.strip()), source)
    except InputError as error:
        shown = HIDDEN if isinstance(row, Field) and row.secret else _shown(text)
        layer.mistakes.append(Mistake(row.path, source, f"{shown}: {error}", f"expected {row.expected}"))


def _parse_text(row: Field | ListField, text: str) -> object:
    if isinstance(row, ListField):
        return parse_short(row, text)
    if row.optional and text.lower() in _NONE:
        return None
    return row.kind.parse(text)


def _read_table(
    layer: Layer,
    values: dict[str, Given],
    known: Mapping[str, Field],
    table: Mapping[str, object],
    prefix: str,
    file_name: str,
) -> None:
    for key, value in table.items():
        path = f"{prefix}.{key}"
        source = f"{file_name}: {path}"
        row = known.get(key)
        if row is None:
            _unknown(layer, path, source, "key", key, known, elsewhere=FIELD_OF)
            continue
        try:
            empty = row.optional and isinstance(value, str) and value.lower() in _NONE
            values[path] = Given(None if empty else row.kind.parse_toml(value), source)
        except InputError as error:
            scalar = isinstance(value, str | int | float) and not row.secret
            shown = f"{_shown(value)}: " if scalar else ""
            layer.mistakes.append(Mistake(path, source, f"{shown}{error}", f"expected {row.expected}"))


def _read_tables(layer: Layer, row: ListField, tables: object, file_name: str) -> None:
    source = f"{file_name}: {row.key}"
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        layer.mistakes.append(
            Mistake(row.key, source, f"{describe(tables)} does not fit", f"expected tables, [[{row.key}]]")
        )
        return
    known = {f.key: f for f in row.fields}
    elements: list[Element] = []
    for number, table in enumerate(tables, start=1):
        prefix = f"{row.key}[{number}]"
        values: dict[str, Given] = {}
        _read_table(layer, values, known, table, prefix, file_name)
        layer.mistakes.extend(
            Mistake(
                f"{prefix}.{f.key}", f"{file_name}: {prefix}", f"{f.key} is missing", f"expected {f.expected}"
            )
            for f in row.fields
            if f.required and f.key not in table
        )
        elements.append({path.removeprefix(f"{prefix}."): given.value for path, given in values.items()})
    layer.values[row.key] = Given(tuple(elements), source)


def _unknown(
    layer: Layer,
    key: str,
    source: str,
    what: str,
    name: str,
    known: Iterable[str],
    elsewhere: Iterable[str] = (),
) -> None:
    from difflib import get_close_matches  # 0.14 MiB, for mistakes alone

    known = list(known)
    # The right name in the wrong place comes first: listen at the top, quota under [node].
    near = sorted(path for path in elsewhere or known if path != name and path.rpartition(".")[2] == name)
    near = near or get_close_matches(name, known, n=1, cutoff=0.6)
    remedy = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(known)}"
    layer.mistakes.append(Mistake(key, source, f"unknown {what} {_shown(name)}", remedy))


def _shown(value: object) -> str:
    text = redact(str(value))
    return repr(text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "...")
