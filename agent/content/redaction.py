"""Texts without the secrets in them, for logs, errors and printed configuration. PURE.

Invariant: what is taken for a secret never comes out, in whole or in part. A harmless word that looks like one may go
too: that costs a little legibility, the other way costs a password. Covered: Authorization and cookie headers, bearer
and basic credentials, values under telling names, user information and queries of URLs (signed URLs carry their grant
there), web tokens, access tokens of well-known hosts, private keys.
"""

import re

HIDDEN = "***"

# Longer texts are cut first: nobody reads a line this long. With it every repetition below that could be tried again
# from each position is bounded, so that a hostile text costs milliseconds.
_MAX_CHARACTERS = 16 * 1024

_TELLING = (
    r"pass(?:word|wd|phrase)?|pwd|[a-z_-]{0,40}(?:token|secret|password)|secret[_-]?key|"
    r"(?:api|access|private)[_-]?key(?:[_-]?id)?|credentials?|auth|sig|[a-z_-]{0,40}signature|"
    r"x-(?:amz|goog)-[a-z-]{1,40}|key-pair-id"
)
_TELLING_NAME = re.compile(rf"(?:{_TELLING}|(?:proxy-)?authorization|(?:set-)?cookie)", re.IGNORECASE)

# A value in quotes to its closing quote. One behind backslashes, however many, does not close: the text may be a repr
# of a repr. A value that starts with an escaped quote has no end that could be trusted.
_QUOTED = r"\"(?:[^\"\\]|\\++[^\\])*+\"?|'(?:[^'\\]|\\++[^\\])*+'?|\\++[\"'][\s\S]*"

_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL | re.IGNORECASE
)
# Header: value, also as a pair in a dict or a list of tuples, of str or bytes.
_SECRET_HEADER = re.compile(
    rf"\b((?:proxy-)?authorization|(?:set-)?cookie)(b?[\"']?\s*[:=,]\s*b?)(?:{_QUOTED}|[^\r\n]*)",
    re.IGNORECASE,
)
_SCHEME = re.compile(
    r"\b(bearer|basic)((?:\s|\\++[nrt])++)(?!(?:auth(?:entication|orization)?|realm|challenges?|credentials?|tokens?)\b)"
    r"[^\s\"',;)\]}]+",
    re.IGNORECASE,
)
# Authority up to the last @ before the path; and where a password holds unescaped / or ?, up to the last @ beyond
# it (a port is no password: https://host:5000/v2/name@sha256:... stays).
_USER_INFORMATION = re.compile(
    r"(://)(?:[^\s/?#]{0,4096}@|[^\s/?#@:\[]{0,256}:(?!\d{1,5}[/?#])[^\s\"'<>]{0,4096}@)"
)
_QUERY_MARK = re.compile(r"[?#]")
_WORD = re.compile(r"[^\s\"'<>]+")
_NAMED = re.compile(
    rf"(?<![a-z0-9])({_TELLING})([\"']?\s*(?:=>|[:=])\s*b?|[\"']\s*,\s*b?(?=[\"']))(?:{_QUOTED}|[^\s,;&\"'}})\]]+)",
    re.IGNORECASE,
)
_TOKEN = re.compile(
    r"eyJ[a-z0-9_-]{8,}(?:\.[a-z0-9_=-]*)*|\b(?:gh[a-z]_|github_pat_|glpat-|dckr_[a-z]{1,8}_)[a-z0-9_-]{8,}",
    re.IGNORECASE,
)


def is_telling_name(name: str) -> bool:
    """Whether a field of this name holds a secret whatever its value looks like."""
    return _TELLING_NAME.fullmatch(name) is not None


def redact(text: str) -> str:
    text = text[:_MAX_CHARACTERS]
    text = _PRIVATE_KEY.sub(HIDDEN, text)
    text = _SECRET_HEADER.sub(rf"\1\2{HIDDEN}", text)
    text = _SCHEME.sub(rf"\1\2{HIDDEN}", text)
    text = _USER_INFORMATION.sub(rf"\1{HIDDEN}@", text)
    text = _WORD.sub(_without_query, text)
    text = _TOKEN.sub(HIDDEN, text)
    return _NAMED.sub(rf"\1\2{HIDDEN}", text)


def _without_query(word: re.Match[str]) -> str:
    """Of a word with a slash, nothing after a ? or # behind it."""
    slash = word[0].find("/")
    mark = _QUERY_MARK.search(word[0], slash) if slash >= 0 else None
    return f"{word[0][: mark.start()]}?{HIDDEN}" if mark and mark.end() < len(word[0]) else word[0]
