"""Which words of ADD, and which build contexts, are git repositories. PURE.

BuildKit's dfgitutil: `git@host:path`, `ssh://`, `git://`, and `http(s)://` where the path ends in `.git`; after `#` a
reference and a subdirectory (`#main:docs`), or a query (`?ref=, tag=, branch=, subdir=, checksum=, commit=,
keep-git-dir=, submodules=`). `github.com/x/y` is a path like any other: only a build context may be given so.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import parse_qs, urlsplit, urlunsplit

from agent.content.errors import InputError
from builder.plan.steps import GitSource

_SCP = re.compile(
    r"(?P<remote>[a-zA-Z0-9_-]+@[a-zA-Z0-9-._]+:[^?#]*)(?:\?(?P<query>[^#]*))?(?:#(?P<fragment>.*))?",
    re.DOTALL,
)
_SCHEMES = ("http", "https", "ssh", "git")
_CONTEXT_SCHEMES = (*_SCHEMES, "file")
_SUFFIXED = ("http", "https", "file")  # of other things, too: a repository is what ends in .git
_TRUTHS = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
    **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False),
}
_BOOLEAN_KEYS = frozenset({"keep-git-dir", "submodules"})
_KEYS = frozenset({"ref", "tag", "branch", "subdir", "checksum", "commit"}) | _BOOLEAN_KEYS


@dataclass(frozen=True, slots=True)
class _Address:
    remote: str
    query: str
    fragment: str


def parse_git_reference(text: str) -> GitSource | None:
    """None where it is none. Raises InputError for one that contradicts itself."""
    return _source(text, _address(text))


def parse_git_context(text: str) -> GitSource | None:
    """A build context may be `github.com/x/y` and a repository of this machine (`file://`), too, and end in a slash."""
    if text.startswith("github.com/"):
        return _source(text, _of_url(f"https://{text}"))
    return _source(text, _address(text, is_context=True))


def _source(text: str, address: _Address | None) -> GitSource | None:
    if address is None:
        return None
    reference, _, subdirectory = address.fragment.partition(":")
    source = GitSource(address.remote, reference, subdirectory)
    return _with_query(source, _query(address.query, text)) if address.query else source


def _address(text: str, *, is_context: bool = False) -> _Address | None:
    scheme, colon, _ = text.partition("://")
    if colon and re.fullmatch(r"[a-zA-Z0-9]+", scheme):
        address = _of_url(text)
        if address is None or scheme.lower() not in (_CONTEXT_SCHEMES if is_context else _SCHEMES):
            return None
        path = address.remote.rstrip("/") if is_context else address.remote
        return address if scheme.lower() not in _SUFFIXED or path.endswith(".git") else None
    match = _SCP.fullmatch(text)
    return _Address(match["remote"], match["query"] or "", match["fragment"] or "") if match else None


def _of_url(text: str) -> _Address | None:
    try:
        parts = urlsplit(text)
    except ValueError:
        return None
    return _Address(urlunsplit(parts._replace(query="", fragment="")), parts.query, parts.fragment)


def _query(query: str, text: str) -> dict[str, str]:
    values = parse_qs(query, keep_blank_values=True)
    for key, given in values.items():
        if key not in _KEYS:
            raise InputError(f"{text}: unknown option {key!r}: {', '.join(sorted(_KEYS))} are known")
        if len(given) > 1:
            raise InputError(f"{text}: {key} is given twice")
        if not given[0] and key not in _BOOLEAN_KEYS:
            raise InputError(f"{text}: {key} has no value")
    return {key: given[0] for key, given in values.items()}


def _with_query(source: GitSource, query: Mapping[str, str]) -> GitSource:
    reference = source.reference
    if "tag" in query and "branch" in query:
        raise InputError(f"{source.url}: a tag or a branch, not both")
    for key, prefix in (("ref", ""), ("tag", "refs/tags/"), ("branch", "refs/heads/")):
        if key in query:
            value = prefix + query[key].removeprefix(prefix)
            reference = _same(source.url, "reference", reference, value)
    subdirectory = source.subdirectory
    if "subdir" in query:
        subdirectory = _same(source.url, "subdirectory", subdirectory, query["subdir"])
    checksum = query.get("checksum") or query.get("commit")
    return replace(
        source,
        reference=reference or checksum or "",
        subdirectory=subdirectory,
        checksum=checksum,
        keep_git_dir=_truth(source.url, query, "keep-git-dir", False),
        submodules=_truth(source.url, query, "submodules", True),
    )


def _same(url: str, what: str, one: str, other: str) -> str:
    if one and one != other:
        raise InputError(f"{url}: two different values of the {what}: {one!r} and {other!r}")
    return other


def _truth(url: str, query: Mapping[str, str], key: str, default: bool) -> bool:
    if key not in query:
        return default
    value = query[key] or "true"
    if value not in _TRUTHS:
        raise InputError(f"{url}: {key} is true or false, not {value!r}")
    return _TRUTHS[value]
