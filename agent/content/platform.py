"""`Platform`: operating system, architecture, variant, and which entry of an index fits one.

OCI image-spec 1.1, image-index.md; the matching order follows what Docker and containerd do on Linux:
the same variant first, then the lower ones that such a machine also runs, the highest of them first.
"""

import re
from dataclasses import dataclass

from agent.content.errors import InputError

# What machines call themselves, as OCI writes it: architecture and variant.
_NORMAL: dict[str, tuple[str, str | None]] = {
    "x86_64": ("amd64", None),
    "x86-64": ("amd64", None),
    "aarch64": ("arm64", None),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
    "armv8l": ("arm", "v8"),
    "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
    "i386": ("386", None),
    "i586": ("386", None),
    "i686": ("386", None),
}
_DEFAULT_VARIANT = {"amd64": "v1", "arm64": "v8", "arm": "v7"}
_VARIANT = re.compile(r"v([0-9]{1,3})")


@dataclass(frozen=True, slots=True)
class Platform:
    os: str
    architecture: str
    variant: str | None = None

    @classmethod
    def parse(cls, text: str) -> "Platform":
        """`os/arch[/variant]`, machine names such as x86_64 accepted. Raises InputError."""
        parts = text.lower().split("/")
        if not 2 <= len(parts) <= 3 or not all(
            part and part.isascii() and part.replace("-", "").replace("_", "").isalnum() for part in parts
        ):
            raise InputError(
                f"invalid platform {text[:60]!r}: expected OS/ARCH or OS/ARCH/VARIANT, such as linux/arm64"
            )
        architecture, variant = _NORMAL.get(parts[1], (parts[1], None))
        return cls(parts[0], architecture, parts[2] if len(parts) == 3 else variant)

    @classmethod
    def of_machine(cls, machine: str) -> "Platform":
        """The Linux platform of a `uname -m` word."""
        return cls("linux", *_NORMAL.get(machine, (machine, None)))

    def fits(self, other: "Platform") -> int:
        """How well `other` (an index entry) runs on self: 0 not at all, larger is better."""
        if (self.os, self.architecture) != (other.os, other.architecture):
            return 0
        default = _DEFAULT_VARIANT.get(self.architecture, "")
        mine, theirs = self.variant or default, other.variant or default
        if mine == theirs:
            return 10_000
        highest, level = _VARIANT.fullmatch(mine), _VARIANT.fullmatch(theirs)
        return int(level[1]) if default and highest and level and int(level[1]) < int(highest[1]) else 0

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)
