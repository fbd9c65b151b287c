"""An instruction's text into keyword, flags and arguments, and the four forms that arguments have. PURE.

Quotes are removed from flags alone: in arguments they stand until the words are expanded.
"""

import json
from dataclasses import dataclass

from builder.dockerfile.failure import Malformed
from builder.dockerfile.white_space import WHITE_SPACE, split_first


@dataclass(frozen=True, slots=True)
class Split:
    """`flags` with their dashes; `arguments` without blanks around."""

    keyword: str
    flags: tuple[str, ...]
    arguments: str


def split_instruction(text: str) -> Split:
    keyword, rest = split_first(text.strip(WHITE_SPACE))
    flags, arguments = _split_flags(rest or "")
    return Split(keyword, flags, arguments.strip(WHITE_SPACE))


def _split_flags(text: str) -> tuple[tuple[str, ...], str]:
    """Leading words that begin with two dashes; a lone `--` ends them."""
    flags: list[str] = []
    while (text := text.lstrip(WHITE_SPACE)).startswith("--"):
        word, text = _flag(text)
        if word == "--":
            break
        flags.append(word)
    return tuple(flags), text


def _flag(text: str) -> tuple[str, str]:
    """The first word without its quotes, and the rest. A backslash takes the next character as it is."""
    word, quote, position = "", "", 0
    while position < len(text):
        character = text[position]
        if not quote and character in WHITE_SPACE:
            break
        if character == (quote or character) and character in "'\"":
            quote = "" if quote else character
        elif character == "\\":
            position += 1
            word += text[position : position + 1]
        else:
            word += character
        position += 1
    return word, text[position:]


def quoted_words(text: str, escape: str) -> list[str]:
    """Words of ENV, LABEL and ARG: blanks in quotes and escaped ones are part of them. Quotes stay."""
    words, word, quote, position = [], "", "", 0
    while position < len(text):
        character = text[position]
        position += 1
        if character == escape and quote != "'":
            if position < len(text):  # at the end it is dropped
                word += character + text[position]
                position += 1
        elif not quote and character in WHITE_SPACE:
            words.append(word)
            word = ""
        else:
            if character in "'\"" and quote in ("", character):
                quote = "" if quote else character
            word += character
    return [word for word in [*words, word] if word]


def json_words(text: str) -> tuple[str, ...] | None:
    """The exec form. None where it is no JSON array, which means shell form: a single quote is enough for that.

    Raises Malformed for an array that has more than strings.
    """
    if not text.startswith("["):
        return None
    try:
        # Numbers as floats: Python refuses to read integers of more than 4,300 digits.
        value = json.loads(text, parse_constant=_no_constant, parse_int=float)
    except (ValueError, RecursionError):
        return None
    for word in value:
        if not isinstance(word, str):
            raise Malformed(
                "a JSON array of a command has strings only: put quotes around each element", text
            )
    # An escape may name half of a surrogate pair: Go puts a replacement character there.
    return tuple(word.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for word in value)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")
