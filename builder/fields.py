"""`parse_fields`: `KEY=VALUE,KEY=VALUE` with CSV's quotes, as several of Docker's flags have it."""

import csv
from collections.abc import Collection

from agent.content.errors import InputError


def parse_fields(text: str, flag: str, known: Collection[str]) -> dict[str, str]:
    """Raises InputError."""
    try:
        (row,) = csv.reader([text])
    except (csv.Error, ValueError):
        raise InputError(f"--{flag} {text[:100]!r}: expected KEY=VALUE,KEY=VALUE") from None
    fields = {}
    for field_text in row:
        key, equals, value = field_text.partition("=")
        if not equals or key not in known:
            raise InputError(f"--{flag} takes {'=..., '.join(sorted(known))}=..., not {key[:100]!r}")
        fields[key] = value
    return fields
