"""`differences`: what two engines made of one case, but for what differences.txt allows.

A line of it: `case | engine | what | why`, the first three patterns as of a shell; `what` is an entry of an image's
facts (`file /etc/hosts`, `config Env`), or `outcome` where one builds and the other one fails.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from tests.builder.corpus.case import Case
from tests.builder.corpus.image_facts import Facts

_FILE = Path(__file__).with_name("differences.txt")


@dataclass(frozen=True, slots=True)
class Outcome:
    """facts None: the build failed, with `message`."""

    facts: Facts | None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Allowed:
    case: str
    engine: str
    what: str
    why: str

    def covers(self, difference: "Difference") -> bool:
        return (
            fnmatchcase(difference.case, self.case)
            and fnmatchcase(difference.engine, self.engine)
            and fnmatchcase(difference.what, self.what)
        )


@dataclass(frozen=True, slots=True)
class Difference:
    case: str
    engine: str
    what: str
    ours: str
    theirs: str

    def __str__(self) -> str:
        return f"{self.case} {self.engine}: {self.what}\n    ours    {self.ours}\n    theirs  {self.theirs}"


def allowed_differences() -> list[Allowed]:
    lines = _FILE.read_text().splitlines()
    rows = [
        [cell.strip() for cell in line.split(" | ")] for line in lines if line and not line.startswith("#")
    ]
    return [Allowed(*row) for row in rows]


def differences(case: Case, engine: str, ours: Outcome, theirs: Outcome) -> Iterator[Difference]:
    if ours.facts is None or theirs.facts is None:
        if ours.facts is not theirs.facts:
            yield Difference(case.name, engine, "outcome", _told(ours), _told(theirs))
        return
    for what in sorted(ours.facts.keys() | theirs.facts.keys()):
        mine, other = ours.facts.get(what, "absent"), theirs.facts.get(what, "absent")
        if mine != other:
            yield Difference(case.name, engine, what, mine, other)


def own_mistakes(case: Case, ours: Outcome) -> Iterator[Difference]:
    """Against what the case itself says."""
    if ours.facts is None:
        if case.error is None or case.error not in ours.message:
            yield Difference(case.name, "expected", "outcome", _told(ours), case.error or "built")
        return
    if case.error is not None:
        yield Difference(case.name, "expected", "outcome", _told(ours), case.error)
    for path, expected in case.tree.items():
        found = ours.facts.get(f"file {path}", "absent")
        if found != expected:
            yield Difference(case.name, "expected", f"file {path}", found, expected)
    for line in case.config.splitlines():
        key, _, expected = line.partition(" ")
        found = ours.facts.get(f"config {key}", "absent")
        if found != expected:
            yield Difference(case.name, "expected", f"config {key}", found, expected)


def not_allowed(found: Sequence[Difference], allowed: Sequence[Allowed]) -> list[Difference]:
    return [one for one in found if not any(entry.covers(one) for entry in allowed)]


def unused(found: Sequence[Difference], allowed: Sequence[Allowed], engines: Sequence[str]) -> list[str]:
    """Entries for `engines` that allow nothing: after all cases, they have no reason left."""
    return [
        f"differences.txt: {entry.case} | {entry.engine} | {entry.what}: there is no such difference"
        for entry in allowed
        if any(fnmatchcase(engine, entry.engine) for engine in engines)
        and not any(entry.covers(one) for one in found)
    ]


def _told(outcome: Outcome) -> str:
    if outcome.facts is not None:
        return "built"
    lines = [line for line in outcome.message.strip().splitlines() if line.strip()]
    return f"failed: {' / '.join(lines[-3:])}"
