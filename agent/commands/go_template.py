"""`render`: a small part of Go's text/template, for `--format` as people know it from Docker. PURE.

    {{.Id}} {{.Config.Env}} {{json .RootFS}} {{join .RepoTags ", "}} {{len .Layers}} {{index .Config.Labels "key"}}
    {{upper .Os}} {{lower .Os}} {{println .Id}} {{range .RepoTags}}{{.}}{{end}} {{if .Author}}...{{else}}...{{end}}

Invariant: a template only reads the value that it is given. Image data is never taken for a template, and nothing here
evaluates more than this grammar.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.content.errors import InputError

_ACTION = re.compile(r"\{\{(-?)\s*(.*?)\s*(-?)\}\}", re.DOTALL)
_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|`[^`]*`|[^\s"`]+')
_PATH = re.compile(r"\.|(?:\.[A-Za-z_][A-Za-z0-9_]*)+")
_ESCAPES = (("\\t", "\t"), ("\\n", "\n"))


@dataclass(frozen=True, slots=True)
class _Action:
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Block:
    words: tuple[str, ...]
    inside: "tuple[_Node, ...]"
    otherwise: "tuple[_Node, ...]"


_Node = str | _Action | _Block


@dataclass(frozen=True, slots=True)
class Template:
    nodes: tuple[_Node, ...]

    @classmethod
    def parse(cls, text: str) -> "Template":
        """`\\t` and `\\n` mean a tab and a new line. Raises InputError."""
        for written, meant in _ESCAPES:
            text = text.replace(written, meant)
        tokens = _tokens(text)
        nodes, stop = _parse(tokens)
        if stop:
            raise InputError(f"template has {{{{{stop}}}}} without a block")
        return cls(tuple(nodes))

    def render(self, value: Any) -> str:
        """Raises InputError for a field that is not there, or a function that the value does not fit."""
        return _render(self.nodes, value)


def _tokens(text: str) -> list[str | _Action]:
    tokens: list[str | _Action] = []
    at, trim = 0, False
    for match in _ACTION.finditer(text):
        plain = text[at : match.start()]
        plain = plain.lstrip() if trim else plain
        tokens.append(plain.rstrip() if match[1] else plain)
        tokens.append(_Action(tuple(_WORD.findall(match[2]))))
        at, trim = match.end(), bool(match[3])
    rest = text[at:]
    tokens.append(rest.lstrip() if trim else rest)
    if any(isinstance(token, str) and ("{{" in token or "}}" in token) for token in tokens):
        raise InputError(f"template {text[:100]!r} has a brace that is not closed")
    tokens.reverse()
    return tokens


def _parse(tokens: list[str | _Action]) -> tuple[list[_Node], str]:
    """Nodes up to an `end` or an `else`, which is told; `tokens` is taken from its end."""
    nodes: list[_Node] = []
    while tokens:
        token = tokens.pop()
        if isinstance(token, str):
            nodes.append(token)
            continue
        if not token.words:
            raise InputError("template has an empty action")
        match token.words[0]:
            case "end" | "else":
                return nodes, token.words[0]
            case "if" | "range":
                inside, stop = _parse(tokens)
                otherwise: list[_Node] = []
                if stop == "else":
                    otherwise, stop = _parse(tokens)
                if stop != "end":
                    raise InputError(f"template has a {token.words[0]} without its end")
                nodes.append(_Block(token.words, tuple(inside), tuple(otherwise)))
            case _:
                nodes.append(token)
    return nodes, ""


def _render(nodes: Sequence[_Node], value: Any) -> str:
    parts = []
    for node in nodes:
        if isinstance(node, str):
            parts.append(node)
        elif isinstance(node, _Action):
            parts.append(_text(_evaluate(node.words, value)))
        else:
            parts.append(_render_block(node, value))
    return "".join(parts)


def _render_block(block: _Block, value: Any) -> str:
    found = _evaluate(block.words[1:], value)
    if block.words[0] == "if":
        return _render(block.inside if found else block.otherwise, value)
    if isinstance(found, Mapping):
        found = [found[key] for key in sorted(found)]
    if not found:
        return _render(block.otherwise, value)
    if not isinstance(found, list | tuple):
        raise InputError(f"template: cannot range over {_text(found)[:40]!r}")
    return "".join(_render(block.inside, one) for one in found)


def _evaluate(words: Sequence[str], value: Any) -> Any:
    if len(words) == 1 and words[0] not in _FUNCTIONS:
        return _operand(words[0], value)
    function = _FUNCTIONS.get(words[0]) if words else None
    if function is None:
        known = ", ".join(sorted(_FUNCTIONS))
        raise InputError(f"template: {' '.join(words)[:60]!r} is neither a field nor one of {known}")
    arguments = [_operand(word, value) for word in words[1:]]
    try:
        return function(*arguments)
    except (TypeError, IndexError, KeyError, AttributeError, ValueError):
        raise InputError(f"template: {words[0]} cannot be used so: {' '.join(words)[:80]!r}") from None


def _operand(word: str, value: Any) -> Any:
    if word[0] in '"`':
        return json.loads(word) if word[0] == '"' else word[1:-1]
    if word.isdigit():
        return int(word)
    if not _PATH.fullmatch(word):
        raise InputError(f"template: {word[:60]!r} is not a field such as .Id")
    for name in word.split("."):
        if name:
            value = _field(value, name)
    return value


def _field(value: Any, name: str) -> Any:
    if not isinstance(value, Mapping) or name not in value:
        known = ", ".join(sorted(map(str, value))) if isinstance(value, Mapping) else "none"
        raise InputError(f"template: there is no field .{name}; the fields are: {known}")
    return value[name]


def _text(value: Any) -> str:
    """As Go prints it."""
    match value:
        case None:
            return "<no value>"
        case bool():
            return "true" if value else "false"
        case Mapping():
            return "map[" + " ".join(f"{key}:{_text(value[key])}" for key in sorted(value)) + "]"
        case list() | tuple():
            return "[" + " ".join(map(_text, value)) + "]"
        case _:
            return str(value)


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        value = (value or {}).get(key, "") if not isinstance(value, list) else value[key]
    return value


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "json": lambda value: json.dumps(value, separators=(",", ":"), ensure_ascii=False),
    "join": lambda values, separator: separator.join(map(_text, values or ())),
    "len": lambda value: len(value or ()),
    "index": _index,
    "upper": lambda text: text.upper(),
    "lower": lambda text: text.lower(),
    "title": lambda text: text.title(),
    "println": lambda *values: " ".join(map(_text, values)) + "\n",
}
