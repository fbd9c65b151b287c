"""`Platform`: operating system, architecture, variant, and which entry of an index fits one.

OCI image-spec 1.1, image-index.md; the matching order follows what Docker and containerd do on Linux:
the same variant first, then the lower ARM variants that this machine also runs.
"""

from dataclasses import dataclass

from agent.content.errors import InputError

_NORMAL = {
    "x86_64": "amd64",
    "x86-64": "amd64",
    "aarch64": "arm64",
    "armhf": "arm",
    "armel": "arm",
    "i386": "386",
    "i686": "386",
}
_DEFAULT_VARIANT = {"arm64": "v8", "arm": "v7"}


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
        architecture = _NORMAL.get(parts[1], parts[1])
        return cls(parts[0], architecture, parts[2] if len(parts) == 3 else None)

    @classmethod
    def of_machine(cls, machine: str) -> "Platform":
        """The Linux platform of a `uname -m` word."""
        return cls("linux", _NORMAL.get(machine, machine))

    def fits(self, other: "Platform") -> int:
        """How well `other` (an index entry) runs on self: 0 not at all, larger is better."""
        if (self.os, self.architecture) != (other.os, other.architecture):
            return 0
        default = _DEFAULT_VARIANT.get(self.architecture, "")
        mine, theirs = self.variant or default, other.variant or default
        if mine == theirs:
            return 100
        lower_arm = self.architecture == "arm" and theirs < mine
        return 50 + int(theirs[1:] or 0) if lower_arm and theirs[1:].isdigit() else 0

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)
