from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.content.errors import InputError
from builder.dockerfile.patterns import has_wildcards, match_pattern


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("abc", "abc", True),
        ("abc", "abcd", False),
        ("*", "abc", True),
        ("*", "", True),
        ("*", "a/b", False),
        ("*c", "abc", True),
        ("a*", "a", True),
        ("a*/b", "abc/b", True),
        ("a*/b", "a/c/b", False),
        ("**", "ab", True),
        ("**", "a/b", False),
        ("a*b*c*d*e*/f", "axbxcxdxe/f", True),
        ("a*b*c*d*e*/f", "axbxcxdxexxx/fff", False),
        ("a*b?c*x", "abxbbxdbxebxczzx", True),
        ("a*b?c*x", "abxbbxdbxebxczzy", False),
        ("ab[c]", "abc", True),
        ("ab[b-d]", "abc", True),
        ("ab[e-g]", "abc", False),
        ("ab[^c]", "abc", False),
        ("ab[^e-g]", "abc", True),
        ("[!a]", "!", True),
        ("[!a]", "b", False),
        (r"a\*b", "a*b", True),
        (r"a\*b", "ab", False),
        ("a?b", "aäb", True),
        ("a[^a]b", "aäb", True),
        ("a???b", "aäb", False),
        ("[a-ζ]*", "δ", True),
        ("*[a-ζ]", "A", False),
        ("a?b", "a/b", False),
        ("a*b", "a/b", False),
        ("a[^x]b", "a/b", True),
        (r"[\]a]", "]", True),
        (r"[\-]", "-", True),
        (r"[x\-]", "-", True),
        (r"[\-x]", "z", False),
        ("[z-a]", "b", False),
        ("[^z-a]", "b", True),
        ("a]b", "a]b", True),
        ("*x", "xxx", True),
        ("*[^x]*y", "a/by", False),
        ("a\nb", "a\nb", True),
        ("?", "\n", True),
    ],
)
def test_patterns_match_as_go_has_it(pattern: str, name: str, matches: bool) -> None:
    assert match_pattern(pattern, name) is matches


@pytest.mark.parametrize(
    "pattern", ["[]a]", "[-]", "[x-]", "[-x]", "[a-b-c]", "[", "[^", "[^bc", "a[", "a\\", "[a\\", "*[a"]
)
def test_a_malformed_pattern_is_refused_whatever_the_name(pattern: str) -> None:
    for name in ("a", "", "zzz"):
        with pytest.raises(InputError, match="malformed pattern"):
            match_pattern(pattern, name)


def test_wildcards() -> None:
    assert [text for text in ("a", "a*", "?", "[a]", r"\*", r"\\*", r"a\[b", "]") if has_wildcards(text)] == [
        "a*",
        "?",
        "[a]",
        r"\\*",
    ]


def test_many_stars_take_no_time() -> None:
    assert not match_pattern("*a" * 30 + "b", "a" * 5_000)


@given(st.text(alphabet="ab*?", max_size=8), st.text(alphabet="ab", max_size=8))
def test_without_slashes_it_is_a_shells_pattern(pattern: str, name: str) -> None:
    assert match_pattern(pattern, name) == fnmatchcase(name, pattern)
