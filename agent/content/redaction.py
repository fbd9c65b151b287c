"""Texts without the secrets in them, for logs, errors and printed configuration. PURE.

Invariant: what is taken for a secret never comes out, in whole or in part. A harmless word that looks like one may go
too: that costs a little legibility, the other way costs a password. Covered: Authorization and cookie headers, bearer
and basic credentials, values under telling names, user information and queries of URLs (signed URLs carry their grant
there), web tokens, access tokens of well-known hosts, private keys.
"""

import re

HIDDEN = "***"

# Longer texts are cut first: the patterns below look ahead, and nobody reads a line this long.
_MAX_CHARACTERS = 32 * 1024

_TELLING = (
    r"pass(?:word|wd|phrase)?|pwd|secret(?:[_-]?key)?|[a-z_-]*token|[a-z_-]*secret|[a-z_-]*password|(?:api|access|private)[_-]?key"
    r"(?:[_-]?id)?|credentials?|auth|sig|[a-z_-]*signature|x-amz-[a-z-]+|x-goog-[a-z-]+|key-pair-id"
)
_TELLING_NAME = re.compile(rf"(?:{_TELLING}|(?:proxy-)?authorization|(?:set-)?cookie)", re.IGNORECASE)

# A value in quotes to its closing quote, with what a repr or JSON escapes in it.
_QUOTED = r"\"(?:[^\"\\]|\\.)*\"?|'(?:[^'\\]|\\.)*'?"

_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
)
# Header: value, also as a pair in a dict or a list of tuples, of str or bytes.
_SECRET_HEADER = re.compile(
    rf"\b((?:proxy-)?authorization|(?:set-)?cookie)(b?[\"']?\s*[:=,]\s*b?)(?:{_QUOTED}|[^\r\n]*)",
    re.IGNORECASE,
)
_SCHEME = re.compile(
    r"\b(bearer|basic)(\s+)(?!(?:auth(?:entication|orization)?|realm|challenges?|credentials?|tokens?)\b)"
    r"[^\s\"',;)\]}]+",
    re.IGNORECASE,
)
# Authority up to the last @ before the path; and where a password holds unescaped / or ?, up to the @ beyond it
# (a port is no password: https://host:5000/v2/name@sha256:... stays).
_USER_INFORMATION = re.compile(r"(://)(?:[^\s/?#]*@|[^\s/?#@:\[]*:(?!\d{1,5}[/?#])[^\s@]*@)")
_QUERY = re.compile(r"((?:://|/)[^\s?\"'<>]*)[?#][^\s\"'<>]+")
_NAMED = re.compile(
    rf"(?<![a-z0-9])({_TELLING})([\"']?\s*(?:=>|[:=])\s*b?|[\"']\s*,\s*b?(?=[\"']))(?:{_QUOTED}|[^\s,;&\"'}})\]]+)",
    re.IGNORECASE,
)
_TOKEN = re.compile(
    r"eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_=-]*)*|\b(?:gh[a-z]_|github_pat_|glpat-|dckr_[a-z]+_)[A-Za-z0-9_-]{8,}"
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
    text = _QUERY.sub(rf"\1?{HIDDEN}", text)
    text = _TOKEN.sub(HIDDEN, text)
    return _NAMED.sub(rf"\1\2{HIDDEN}", text)
