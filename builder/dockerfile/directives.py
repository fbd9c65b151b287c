"""The directives at a Dockerfile's head: `# syntax=`, `# escape=`, `# check=`. PURE.

They stand in the leading run of such comments alone: the first line that is none ends them, be it empty.
`syntax` is remembered and has no effect: one language is spoken here.
"""

import re
from dataclasses import dataclass, field

from builder.dockerfile.check import parse_check
from builder.dockerfile.failure import Malformed

_DIRECTIVE = re.compile(r"#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*")
_KNOWN = ("syntax", "escape", "check")


@dataclass(slots=True)
class Directives:
    """`open`: further ones may follow."""

    found: dict[str, str] = field(default_factory=dict)
    open: bool = True

    @property
    def escape(self) -> str:
        return self.found.get("escape", "\\")

    def read(self, line: str) -> bool:
        """Whether `line`, without blanks before it, is one. Raises Malformed."""
        match = _DIRECTIVE.fullmatch(line) if self.open else None
        name = match[1].lower() if match else ""
        if match is None or name not in _KNOWN:
            self.open = False
            return False
        if name in self.found:
            raise Malformed(f"a second {name} directive: a file has one at most", match[1])
        if name == "escape" and match[2] not in ("\\", "`"):
            raise Malformed(f"escape={match[2]} is not possible: it is \\ or `", match[2])
        if name == "check":
            parse_check(match[2])  # its mistakes are found here
        self.found[name] = match[2]
        return True
