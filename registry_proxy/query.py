"""`Query`: the query of a request line, field by field as it is asked for. PURE.

Fields that nobody asks for are for the upstream, and mean nothing here. One that stands twice with different values
means two things to two readers, and is refused.
"""

from urllib.parse import parse_qsl

from agent.content.digest import Digest
from agent.content.errors import InputError
from agent.content.reference import is_tag, parse_registry
from registry_proxy.errors import ErrorCode, RequestRefused
from registry_proxy.requests import Page

MOST_LISTED = 1000
_MAX_FIELDS = 20
_MAX_TAGS = 10
_MAX_TEXT = 300
_MAX_DIGITS = 18


class Query:
    def __init__(self, text: str) -> None:
        """Raises RequestRefused."""
        try:
            self._fields = (
                parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict")
                if text
                else []
            )
        except ValueError:
            raise RequestRefused("the query is malformed", ErrorCode.NAME_INVALID) from None

    def text(self, name: str) -> str | None:
        found = set(self._all(name))
        if len(found) > 1:
            raise RequestRefused(f"{name} stands in the query with several values", ErrorCode.NAME_INVALID)
        value = found.pop() if found else None
        if value is not None and (len(value) > _MAX_TEXT or not value.isprintable()):
            raise RequestRefused(f"{name} in the query is too long or unprintable", ErrorCode.NAME_INVALID)
        return value

    def registry(self) -> str | None:
        """Of `?ns=`, canonical."""
        named = set(self._all("ns"))
        if len(named) > 1:
            raise RequestRefused("ns names several registries", ErrorCode.NAME_INVALID)
        return parsed_registry(named.pop()) if named else None

    def digest(self, name: str) -> Digest | None:
        text = self.text(name)
        return None if text is None else parsed_digest(text)

    def tags(self) -> tuple[str, ...]:
        """What else a manifest that is pushed by its digest shall be called."""
        found = tuple(dict.fromkeys(self._all("tag")))
        if len(found) > _MAX_TAGS or not all(map(is_tag, found)):
            raise RequestRefused(f"at most {_MAX_TAGS} valid tags can be given", ErrorCode.MANIFEST_INVALID)
        return found

    def page(self) -> Page:
        """`n` and `last`; as much as one answer may list where there is no `n`."""
        n = self.text("n")
        if n is None:
            limit = MOST_LISTED
        elif not (n.isascii() and n.isdigit()):
            raise RequestRefused(f"n is {n[:20]!r}: expected a number of 0 or more", ErrorCode.UNSUPPORTED)
        else:
            limit = min(int(n[:_MAX_DIGITS]), MOST_LISTED)
        return Page(self.text("last") or "", limit)

    def _all(self, name: str) -> list[str]:
        return [value for key, value in self._fields if key == name]


def parsed_registry(text: str) -> str:
    try:
        return parse_registry(text)
    except InputError as error:
        raise RequestRefused(str(error), ErrorCode.NAME_INVALID) from None


def parsed_digest(text: str) -> Digest:
    try:
        return Digest.parse(text)
    except InputError as error:
        raise RequestRefused(str(error), ErrorCode.DIGEST_INVALID) from None
