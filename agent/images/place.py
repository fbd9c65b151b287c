"""`Place`: where `shoal copy` copies from and to, as skopeo writes it: `oci:./layout:app`, `docker://alpine`. PURE."""

from dataclasses import dataclass
from typing import Literal, get_args

from agent.content.errors import InputError

Transport = Literal["docker", "oci", "oci-archive", "docker-archive", "store"]
TRANSPORTS: tuple[Transport, ...] = get_args(Transport)


@dataclass(frozen=True, slots=True)
class Place:
    """path: of a layout or an archive, "" otherwise. name: the image's, "" where none is told."""

    transport: Transport
    path: str
    name: str

    @classmethod
    def parse(cls, text: str) -> "Place":
        """Raises InputError."""
        word, colon, rest = text.partition(":")
        transport = next((one for one in TRANSPORTS if one == word), None)
        if transport is None or not colon or not rest:
            raise InputError(
                f"{text[:150]!r} is no place: expected docker://NAME, oci:DIRECTORY[:NAME], oci-archive:FILE[:NAME],"
                " docker-archive:FILE[:NAME] or store:NAME"
            )
        match transport:
            case "docker":
                if not rest.startswith("//") or not rest[2:]:
                    raise InputError(f"{text[:150]!r} is no place: expected docker://NAME")
                return cls(transport, "", rest[2:])
            case "store":
                return cls(transport, "", rest)
            case _:
                path, _, name = rest.partition(":")
                if not path:
                    raise InputError(f"{text[:150]!r} names no file")
                return cls(transport, path, name)

    def __str__(self) -> str:
        if self.transport == "docker":
            return f"docker://{self.name}"
        return ":".join(part for part in (self.transport, self.path, self.name) if part)
