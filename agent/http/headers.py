"""`Headers`: the header fields of one message; names are matched without regard to case, repeats are kept in order.

It wraps h11's own list and decodes only what is asked for: a request carries a dozen fields, a handler reads two.
Values are latin-1 (RFC 9110 5.5) and were checked by h11: none holds CR, LF or NUL.
"""

from collections.abc import Iterable, Iterator


class Headers:
    __slots__ = ("_fields",)

    def __init__(self, fields: Iterable[tuple[bytes, bytes]] = ()) -> None:
        """`fields` have lowercase names, as h11 gives them."""
        self._fields = fields

    @classmethod
    def of(cls, fields: Iterable[tuple[str, str]]) -> "Headers":
        return cls([(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in fields])

    @property
    def raw(self) -> list[tuple[bytes, bytes]]:
        return list(self._fields)

    def get(self, name: str) -> str | None:
        """The value of the first field of that name, None where there is none."""
        wanted = name.lower().encode("latin-1")
        for field, value in self._fields:
            if field == wanted:
                return value.decode("latin-1")
        return None

    def get_all(self, name: str) -> list[str]:
        """The values of every field of that name, in order, one element a field line."""
        wanted = name.lower().encode("latin-1")
        return [value.decode("latin-1") for field, value in self._fields if field == wanted]

    def __contains__(self, name: str) -> bool:
        return self.get(name) is not None

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return ((name.decode("latin-1"), value.decode("latin-1")) for name, value in self._fields)

    def __repr__(self) -> str:
        return f"Headers({[name for name, _ in self]})"  # names alone: values may be secrets
