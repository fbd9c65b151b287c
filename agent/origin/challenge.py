"""`Challenge`: what a registry's WWW-Authenticate header asks for, and its parser. PURE.

Grammar: RFC 9110 11.6.1. One header line may hold several challenges, and there may be several lines; a comma separates
challenges as well as parameters, and may stand inside quotes (a scope of `repository:x:pull,push`). What cannot be read
is passed over up to the next comma: a registry's oddity in one challenge must not hide another one.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_PARAMETER = re.compile(
    rf'\s*({_TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_TOKEN}[^\s,]*))\s*(?=,|$)', re.DOTALL
)
_SCHEME = re.compile(rf"\s*({_TOKEN})(?=\s|,|$)")
_TOKEN68 = re.compile(r"\s+[A-Za-z0-9\-._~+/]+=*\s*(?=,|$)")
_MAX_HEADER_CHARACTERS = 16 * 1024


@dataclass(frozen=True, slots=True)
class Challenge:
    """`scheme` and the names of parameters are lowercase; values are unquoted."""

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict, hash=False)

    def get(self, name: str) -> str:
        return self.parameters.get(name, "")

    @property
    def scopes(self) -> tuple[str, ...]:
        """The single scopes of `scope`, sorted: it is a set, and this is used as a key."""
        return tuple(sorted(set(self.get("scope").split())))

    @property
    def wants_more_scope(self) -> bool:
        return self.get("error") == "insufficient_scope"


def parse_challenges(lines: Iterable[str]) -> tuple[Challenge, ...]:
    """Every challenge of every WWW-Authenticate line, in order. Never raises."""
    return tuple(challenge for line in lines for challenge in _parse_line(line[:_MAX_HEADER_CHARACTERS]))


def _parse_line(line: str) -> list[Challenge]:
    found: list[tuple[str, dict[str, str]]] = []
    position = 0
    while position < len(line):
        parameter = _PARAMETER.match(line, position)
        if parameter and found:
            name, quoted, plain = parameter.groups()
            value = re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL) if quoted is not None else plain
            found[-1][1].setdefault(name.lower(), value)
            position = parameter.end() + 1
        elif (scheme := _SCHEME.match(line, position)) and not parameter:
            found.append((scheme[1].lower(), {}))
            token68 = _TOKEN68.match(line, scheme.end())
            position = token68.end() + 1 if token68 else scheme.end()
            position += line[position : position + 1] == ","
        else:
            comma = line.find(",", position)
            position = comma + 1 if comma >= 0 else len(line)
    return [Challenge(scheme, parameters) for scheme, parameters in found]
