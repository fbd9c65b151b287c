import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.content.errors import InputError
from builder.dockerfile.ignore import IgnorePatterns


def ignored(patterns: str, *paths: str) -> list[str]:
    read = IgnorePatterns.parse(patterns.encode())
    return [path for path in paths if read.matches(path)]


@pytest.mark.parametrize(
    ("pattern", "left_out", "kept"),
    [
        ("a", ["a", "a/b", "a/b/c"], ["b/a", "ab"]),
        ("/a", ["a", "a/b"], ["b/a"]),
        ("./a/", ["a", "a/b"], ["b"]),
        ("a/../b", ["b"], ["a", "a/b"]),
        ("  a  ", ["a"], ["b"]),
        ("*", ["a", "a/b", ".x"], []),
        ("*/b", ["a/b", "x/b/c"], ["b", "a/c/b"]),
        ("*.md", ["x.md", ".md", "x.md/y"], ["a/x.md", "x.mdx"]),
        ("**/*.md", ["x.md", "a/x.md", "a/b/x.md"], ["x.mdx"]),
        ("**/a", ["a", "b/a", "b/c/a/d"], ["ba", "b/ca"]),
        ("**a", ["a", "ba", "b/ca"], ["ab"]),
        ("a/**", ["a/b", "a/b/c"], ["a", "ab"]),
        ("a**", ["a", "ab", "a/b"], ["b"]),
        ("a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["a", "a/xb"]),
        ("a**b", ["ab", "ax/b"], ["axb"]),
        ("**", ["a", "a/b"], []),
        ("**/**", ["a", "a/b"], []),
        ("a?c", ["abc"], ["a/c", "ac"]),
        ("[ab]c", ["ac", "bc"], ["cc"]),
        ("[^a]c", ["bc"], ["ac"]),
        (r"\*", ["*"], ["a"]),
        (r"\#a", ["#a"], ["a"]),
        (" # a", ["# a"], ["a"]),
        ("a.b", ["a.b"], ["axb"]),
        ("a+(b)|{c}$", ["a+(b)|{c}$"], ["a"]),
        (".", [], ["a"]),
        ("/", [], ["a"]),
        ("../a", [], ["a"]),
        ("#a", [], ["a", "#a"]),
        ("", [], ["a"]),
    ],
)
def test_what_one_pattern_leaves_out(pattern: str, left_out: list[str], kept: list[str]) -> None:
    assert ignored(pattern, *left_out, *kept) == left_out


@pytest.mark.parametrize(
    ("patterns", "left_out", "kept"),
    [
        ("*\n!a", ["b", "b/a"], ["a", "a/b"]),
        ("*.md\n!README.md", ["x.md"], ["README.md"]),
        ("!README.md\n*.md", ["README.md"], []),
        ("a\n!a/b", ["a", "a/c"], ["a/b", "a/b/c"]),
        ("a\n!a/b\na/b/c", ["a/c", "a/b/c"], ["a/b", "a/b/d"]),
        ("**\n!**/*.go", ["a", "a/x.c"], ["x.go", "a/b/x.go"]),
        ("a\n! /a/b", ["a/c"], ["a/b"]),
        ("a/b\n!a", ["a/b", "a/b/c"], ["a"]),
    ],
)
def test_the_last_pattern_that_matches_wins(patterns: str, left_out: list[str], kept: list[str]) -> None:
    assert ignored(patterns, *left_out, *kept) == left_out


def test_windows_line_ends_and_a_byte_order_mark_are_no_patterns() -> None:
    assert IgnorePatterns.parse(b"\xef\xbb\xbfa\r\nb\r\n").matches("a")
    assert IgnorePatterns.parse(b"\xef\xbb\xbf# x\r\nb\r\n").matches("b")


@pytest.mark.parametrize(
    ("patterns", "pruned", "looked_into"),
    [
        ("a", ["a", "a/b"], ["b"]),
        ("a\n!a/b/c", ["a/x", "a/b/d"], ["a", "a/b"]),
        ("*\n!b", ["a"], []),
        ("a\n!**/*.go", [], ["a"]),
        ("a\n!*/b", ["a/c"], ["a"]),
        ("a/b\n!a", ["a/b"], ["a"]),
    ],
)
def test_a_directory_is_skipped_where_no_exception_can_be_in_it(
    patterns: str, pruned: list[str], looked_into: list[str]
) -> None:
    read = IgnorePatterns.parse(patterns.encode())
    assert [path for path in pruned + looked_into if read.prunes(path)] == pruned


@pytest.mark.parametrize("line", ["!", "! ", "[", "a[", "a\\", "!a["])
def test_a_malformed_pattern_is_refused_with_its_line(line: str) -> None:
    with pytest.raises(InputError, match=r"^\.dockerignore:2: "):
        IgnorePatterns.parse(f"a\n{line}\n".encode())


def test_patterns_of_a_flag_have_no_comments() -> None:
    assert IgnorePatterns.of(["#a", "*.md"]).matches("#a")
    assert not IgnorePatterns.of([]).matches("a")


_PATHS = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=4).map("/".join)
_PATTERNS = st.lists(
    st.tuples(
        st.sampled_from(["", "!"]), st.lists(st.sampled_from(["a", "b", "*", "**"]), min_size=1, max_size=3)
    )
)


@given(_PATTERNS, _PATHS)
def test_nothing_in_a_pruned_directory_is_kept(patterns: list[tuple[str, list[str]]], path: str) -> None:
    read = IgnorePatterns.of([sign + "/".join(parts) for sign, parts in patterns])
    parts = path.split("/")
    above = ["/".join(parts[:length]) for length in range(1, len(parts))]
    if any(read.prunes(directory) for directory in above):
        assert read.matches(path)


@given(_PATTERNS, _PATHS)
def test_what_was_asked_before_changes_no_answer(patterns: list[tuple[str, list[str]]], path: str) -> None:
    texts = [sign + "/".join(parts) for sign, parts in patterns]
    asked = IgnorePatterns.of(texts)
    for number in range(1, path.count("/") + 1):
        asked.matches("/".join(path.split("/")[:number]))
    assert asked.matches(path) == IgnorePatterns.of(texts).matches(path)
