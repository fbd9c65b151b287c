"""The `check` directive: which warnings a file wants to hear of, and whether one of them ends the build. PURE.

# check=skip=StageNameCasing,UndefinedVar;error=true;experimental=all

At the head of the file it is for all of it, right above an instruction for that one, but for `error`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from builder.dockerfile.failure import DockerfileError, Malformed, did_you_mean, error_at
from builder.dockerfile.instructions import Dockerfile, Warning

# BuildKit's rules that speak only where they are asked to.
EXPERIMENTAL = frozenset({"InvalidDefinitionDescription"})
_COMMENT = re.compile(r"#\s*check\s*=\s*(\S+)(?:\s.*)?", re.IGNORECASE)
_OPTIONS = ("skip", "error", "experimental")
_TRUE = ("1", "t", "true")
_FALSE = ("0", "f", "false")


@dataclass(frozen=True, slots=True)
class Check:
    """`skip`, `experimental`: names of rules, or `all`."""

    skip: frozenset[str] = frozenset()
    experimental: frozenset[str] = frozenset()
    error: bool = False

    def with_more(self, other: "Check") -> "Check":
        return replace(self, skip=self.skip | other.skip, experimental=self.experimental | other.experimental)

    def wants(self, rule: str) -> bool:
        if self.skip & {rule, "all"}:
            return False
        return rule not in EXPERIMENTAL or bool(self.experimental & {rule, "all"})


def parse_check(text: str) -> Check:
    """Raises Malformed."""
    given: dict[str, str] = {}
    for option in text.split(";"):
        name, equals, value = option.partition("=")
        name = name.strip()
        if not equals or name not in _OPTIONS:
            raise Malformed(f"check has no option {name!r}: {did_you_mean(name, _OPTIONS)}", name)
        given[name] = value.strip()
    error = given.get("error", "false").lower()
    if error not in _TRUE + _FALSE:
        raise Malformed(f"error={given['error']} is not possible: it is true or false", given["error"])
    return Check(_rules(given.get("skip", "")), _rules(given.get("experimental", "")), error in _TRUE)


def checked(dockerfile: Dockerfile, warnings: Iterable[Warning]) -> tuple[Warning, ...]:
    """Those that the file wants to hear of, each once, in its order. Raises DockerfileError where it has error=true."""
    check = parse_check(dockerfile.check) if dockerfile.check else Check()
    wanted = dict.fromkeys(
        warning for warning in warnings if _at(dockerfile, warning.place.line, check).wants(warning.rule)
    )
    kept = tuple(sorted(wanted, key=lambda warning: warning.place.line))
    if kept and check.error:
        raise _violation(dockerfile, kept)
    return kept


def _at(dockerfile: Dockerfile, line: int, check: Check) -> Check:
    """With what the comments right above an instruction ask for it alone; one that cannot be read says nothing."""
    above = line - 1
    while above >= 1 and dockerfile.lines[above - 1].lstrip().startswith("#"):
        above -= 1
    for comment in dockerfile.lines[above : line - 1]:
        if match := _COMMENT.fullmatch(comment.strip()):
            try:
                return check.with_more(parse_check(match[1]))
            except Malformed:
                return check
    return check


def _violation(dockerfile: Dockerfile, warnings: tuple[Warning, ...]) -> DockerfileError:
    rules = ", ".join(dict.fromkeys(warning.rule for warning in warnings))
    first = warnings[0]
    return error_at(
        dockerfile,
        first.place,
        f"{first.message} (check=error=true makes an error of each warning; found: {rules})",
    )


def _rules(text: str) -> frozenset[str]:
    return frozenset(rule.strip() for rule in text.split(",") if rule.strip())
