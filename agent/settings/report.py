"""The effective settings, each with where it came from: what `shoal config` prints, for people and as JSON. PURE."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from agent.content.redaction import HIDDEN
from agent.settings.address import TcpAddress, UnixAddress
from agent.settings.field import Field, ListField
from agent.settings.fields import FIELDS, LISTS
from agent.settings.settings import Settings

_MAX_COLUMN = 40


@dataclass(frozen=True, slots=True)
class Line:
    """One key. `text` is what one would write in the environment; `value` is fit for JSON: bytes, seconds, texts."""

    key: str
    text: str
    value: object
    source: str


def lines_of(
    settings: Settings, fields: Iterable[Field] = FIELDS, lists: Iterable[ListField] = LISTS
) -> list[Line]:
    lines = []
    for row in fields:
        value = getattr(getattr(settings, row.section), row.key)
        text, plain = (HIDDEN, HIDDEN) if row.secret and value else (text_of(row, value), _plain(value))
        lines.append(Line(row.path, text, plain, settings.sources.get(row.path, "default")))
    return lines + [_list_line(settings, row) for row in lists]


def _list_line(settings: Settings, row: ListField) -> Line:
    elements = getattr(settings, row.key)
    text = ",".join(short_text(row, element) for element in elements)
    values = [{f.key: _plain(getattr(element, f.key)) for f in row.fields} for element in elements]
    return Line(row.path, text, values, settings.sources.get(row.path, "default"))


def render_text(settings: Settings) -> str:
    """`key = text  # source`, in columns."""
    shown = [(line.key, line.text or '""', line.source) for line in lines_of(settings)]
    key_width = max(len(key) for key, _, _ in shown)
    text_width = min(_MAX_COLUMN, max(len(text) for _, text, _ in shown))
    return "\n".join(f"{key:<{key_width}} = {text:<{text_width}}  # {source}" for key, text, source in shown)


def render_json(settings: Settings) -> dict[str, object]:
    """By key: `{"value": ..., "text": ..., "source": ...}`."""
    return {
        line.key: {"value": line.value, "text": line.text, "source": line.source}
        for line in lines_of(settings)
    }


def text_of(row: Field, value: object) -> str:
    return "none" if value is None else row.kind.format(value)


def short_text(row: ListField, element: object) -> str:
    """The element's one-line form, and in brackets what that form has no room for."""
    first, second, *rest = row.fields
    short = f"{text_of(first, getattr(element, first.key))}={text_of(second, getattr(element, second.key))}"
    beyond = [
        f"{f.key}={text_of(f, getattr(element, f.key))}"
        for f in rest
        if text_of(f, getattr(element, f.key)) != (f.default or "none")
    ]
    return f"{short} ({' '.join(beyond)})" if beyond else short


def _plain(value: object) -> object:
    if isinstance(value, TcpAddress | UnixAddress | Path):
        return str(value)
    if isinstance(value, tuple):
        return [_plain(element) for element in value]
    return value
