"""A mistake in the configuration, and the error that carries all of them at once. PURE."""

from collections.abc import Iterable
from dataclasses import dataclass

from agent.content.errors import InputError


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing to mend. `source` says where it stands: "FILE: KEY", "environment NAME", "flag --NAME"."""

    key: str
    source: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        where = f"{self.key} ({self.source})" if self.key else self.source
        return f"{where}: {self.problem}; {self.remedy}" if self.remedy else f"{where}: {self.problem}"


class SettingsError(InputError):
    """The configuration cannot be used. The text lists every mistake, one a line."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        count = len(self.mistakes)
        head = "a mistake" if count == 1 else f"{count} mistakes"
        super().__init__("\n".join([f"{head} in the configuration:", *(f"  {m}" for m in self.mistakes)]))
