"""`RUN --mount=type=...,target=...`: read once as written, and again when its variables are known. PURE.

What has a variable can only be checked after expansion, so a mount keeps its text and `expanded_mount` reads it with
an expansion of every value. `from` is never expanded: the stages that a step needs are known before any variable is.
"""

import csv
import re
from collections.abc import Callable
from dataclasses import replace

from agent.content.errors import InputError
from builder.dockerfile.failure import Malformed, did_you_mean
from builder.dockerfile.instructions import Mount

_FIELDS = {
    "type": "kind", "from": "from_", "source": "source", "src": "source", "target": "target", "dst": "target",
    "destination": "target", "readonly": "read_only", "ro": "read_only", "readwrite": "read_write",
    "rw": "read_write", "id": "id", "sharing": "sharing", "required": "required", "env": "env", "mode": "mode",
    "uid": "uid", "gid": "gid", "size": "size",
}  # fmt: skip
_KINDS = ("bind", "cache", "tmpfs", "secret", "ssh")
_SHARING = ("shared", "private", "locked")
_SWITCHES = ("read_only", "read_write", "required")
_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")
# Which kinds a field is for, where it is not for all.
_ONLY_FOR = {
    "sharing": ("cache",), "size": ("tmpfs",), "env": ("secret",), "required": ("secret", "ssh"),
    "mode": ("cache", "secret", "ssh"), "uid": ("cache", "secret", "ssh"), "gid": ("cache", "secret", "ssh"),
}  # fmt: skip
_DIGITS = {
    "mode": re.compile("[0-7]{1,11}"),
    "uid": re.compile("[0-9]{1,10}"),
    "gid": re.compile("[0-9]{1,10}"),
}
_MAX_NUMBER = 2**32 - 1
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(?:([kKmMgGtTpP])i?)?[bB]?")

Values = dict[str, str | None]


def parse_mount(text: str) -> Mount:
    """As written. Raises Malformed."""
    return _mount(text, _fields(text))


def expanded_mount(mount: Mount, expand: Callable[[str], str]) -> Mount:
    """With its variables replaced; `expand` is applied to every value but `from`. Raises InputError."""
    values = _fields(mount.text)
    expanded = {
        key: value if value is None or key == "from_" else expand(value) for key, value in values.items()
    }
    return replace(_mount(mount.text, expanded), text=mount.text)


def size_bytes(text: str) -> int:
    """`64m`, `1.5GiB`, `1000`: units of 1024. Raises InputError."""
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise InputError(f"{text!r} is no size: expected a number with k, m, g, t or p, such as 64m")
    return int(float(match[1]) * 1024 ** (" kmgtp".index((match[2] or " ").lower())))


def _fields(text: str) -> Values:
    try:
        rows = list(csv.reader([text], strict=True))
    except csv.Error as error:
        raise Malformed(f"--mount={text}: {error}", text) from None
    values: Values = {}
    for item in rows[0] if rows else []:
        key, equals, value = item.partition("=")
        field = _FIELDS.get(key.lower())
        if field is None:
            raise Malformed(f"--mount has no option {key!r}: {did_you_mean(key, _FIELDS)}", key)
        if not equals and field not in _SWITCHES:
            raise Malformed(f"--mount option {key} needs a value: {key}=...", key)
        values[field] = value if equals else None
    if not values:
        raise Malformed("--mount= is empty: expected type=..., target=... and so on", "--mount=")
    return values


def _mount(text: str, values: Values) -> Mount:
    kind = (values.get("kind") or "bind").lower()
    if not _open(kind) and kind not in _KINDS:
        raise Malformed(f"--mount has no type {kind!r}: {did_you_mean(kind, _KINDS)}", kind)
    if re.search(r"\$.", values.get("from_") or ""):
        raise Malformed("from= of --mount takes no variables: give a stage that FROM with the variable", text)
    for field, kinds in _ONLY_FOR.items():
        if field in values and not _open(kind) and kind not in kinds:
            raise Malformed(f"{field} is not for --mount=type={kind}: it is for {' and '.join(kinds)}", field)
    sharing = values.get("sharing")
    if sharing is not None and not _open(sharing) and sharing.lower() not in _SHARING:
        raise Malformed(f"sharing={sharing} is not possible: {did_you_mean(sharing, _SHARING)}", sharing)
    _check_numbers(values)
    if kind == "secret":
        _check_secret(values)
    read_only = _switch(values, "read_only")
    if (read_write := _switch(values, "read_write")) is not None:
        read_only = not read_write
    return Mount(
        kind,
        **{
            name: values.get(name)
            for name in ("target", "source", "from_", "id", "env", "mode", "uid", "gid", "size")
        },
        sharing=sharing.lower() if sharing is not None else None,
        read_only=read_only,
        required=bool(_switch(values, "required")),
        text=text,
    )


def _open(value: str | None) -> bool:
    """A variable stands in it: what it will be is not known."""
    return value is not None and "$" in value


def _switch(values: Values, field: str) -> bool | None:
    """A bare word is true; what is a variable now is read when it is none."""
    if field not in values or _open(values[field]):
        return None
    value = values[field]
    if value is not None and value not in _TRUE + _FALSE:
        raise Malformed(f"{value!r} is not possible for {field}: it is true or false", value)
    return value is None or value in _TRUE


def _check_numbers(values: Values) -> None:
    for field, digits in _DIGITS.items():
        value = values.get(field)
        if value is None or _open(value):
            continue
        base = 8 if field == "mode" else 10
        if not digits.fullmatch(value) or int(value, base) > _MAX_NUMBER:
            expected = "an octal number, such as 0400" if base == 8 else "a number"
            raise Malformed(f"{field}={value} is not possible: expected {expected}", value)
    size = values.get("size")
    if size is not None and not _open(size):
        try:
            size_bytes(size)
        except InputError as error:
            raise Malformed(str(error), size) from None


def _check_secret(values: Values) -> None:
    if values.get("from_"):
        raise Malformed("a secret has no from=: it comes from --secret of the build", "from=")
    if values.get("source") and values.get("id"):
        raise Malformed("source= and id= of a secret are the same: give one of them", "source=")
    if not (values.get("source") or values.get("id") or values.get("target")):
        raise Malformed("a secret needs id=: the name that --secret of the build gives it", "type=secret")
