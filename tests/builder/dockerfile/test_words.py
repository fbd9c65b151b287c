import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.content.errors import InputError
from builder.dockerfile.words import (
    expand,
    expand_document,
    expand_title,
    expand_words,
    mentioned_in,
    variables_in,
)

VALUES = {
    "NAME": "shoal",
    "TWO": "one two",
    "EMPTY": "",
    "FILE": "a/b/archive.tar.gz",
    "STARS": "a*b*c",
    "Ärger": "unicode",
    "1": "first",
    "PORTS": "80 443",
}


def expanded(word: str, escape: str = "\\") -> str:
    return expand(word, VALUES.get, escape)


@pytest.mark.parametrize(
    ("word", "result"),
    [
        ("plain", "plain"),
        ("", ""),
        ("$NAME", "shoal"),
        ("${NAME}", "shoal"),
        ("a${NAME}b", "ashoalb"),
        ("$NAME-x", "shoal-x"),
        ("$NAMEx", ""),
        ("$NOTHING", ""),
        ("${NOTHING}", ""),
        ("$Ärger", "unicode"),
        ("$12", ""),
        ("${1}2", "first2"),
        ("$", "$"),
        ("a$", "a$"),
        ("$.x", "$.x"),
        ("$$", ""),
        ("$?x", "x"),
        (r"\$NAME", "$NAME"),
        (r"\\$NAME", r"\shoal"),
        (r"a\b", "ab"),
        ("tail\\", "tail"),
        ("'$NAME'", "$NAME"),
        (r"'a\b'", r"a\b"),
        ('"$NAME"', "shoal"),
        (r'"\$NAME"', "$NAME"),
        (r'"a\"b"', 'a"b'),
        (r'"a\nb"', r"a\nb"),
        (r'"a\\b"', r"a\b"),
        ('"it\'s"', "it's"),
        ("'say \"$NAME\"'", 'say "$NAME"'),
        ("'a'\"b\"c", "abc"),
        ("a b  c", "a b  c"),
    ],
)
def test_a_word_is_expanded_as_a_shell_would(word: str, result: str) -> None:
    assert expanded(word) == result


@pytest.mark.parametrize(
    ("word", "result"),
    [
        ("${NAME:-x}", "shoal"),
        ("${NOTHING:-x}", "x"),
        ("${EMPTY:-x}", "x"),
        ("${EMPTY-x}", ""),
        ("${NOTHING-x}", "x"),
        ("${NOTHING:-}", ""),
        ("${NAME:+x}", "x"),
        ("${EMPTY:+x}", ""),
        ("${EMPTY+x}", "x"),
        ("${NOTHING+x}", ""),
        ("${NAME:?gone}", "shoal"),
        ("${EMPTY?gone}", ""),
        ("${NOTHING:-${NAME}}", "shoal"),
        ("${NOTHING:-${EMPTY:-deep}}", "deep"),
        ("${NOTHING:-'a}b'}", "a}b"),
        (r"${NOTHING:-a\}b}", "a}b"),
        ('${NOTHING:-"$NAME"}', "shoal"),
        ("${NAME:+$EMPTY$NAME}", "shoal"),
    ],
)
def test_what_holds_where_a_variable_is_unset_or_empty(word: str, result: str) -> None:
    assert expanded(word) == result


@pytest.mark.parametrize(
    ("word", "result"),
    [
        ("${FILE#*/}", "b/archive.tar.gz"),
        ("${FILE##*/}", "archive.tar.gz"),
        ("${FILE%.*}", "a/b/archive.tar"),
        ("${FILE%%.*}", "a/b/archive"),
        ("${FILE%/*}", "a/b"),
        ("${FILE#?/}", "b/archive.tar.gz"),
        ("${FILE#x}", "a/b/archive.tar.gz"),
        ("${FILE%$NOTHING.gz}", "a/b/archive.tar"),
        ("${FILE##*}", ""),
        (r"${STARS#a\*}", "b*c"),
        (r"${STARS%\*c}", "a*b"),
        ("${NOTHING#x}", ""),
        ("${FILE/a/X}", "X/b/archive.tar.gz"),
        ("${FILE//a/X}", "X/b/Xrchive.tXr.gz"),
        (r"${FILE//\//-}", "a-b-archive.tar.gz"),
        ("${FILE/b*./X}", "a/Xgz"),
        ("${FILE//*/X}", "X"),
        ("${FILE/.tar/}", "a/b/archive.gz"),
        ("${FILE/z/$NAME}", "a/b/archive.tar.gshoal"),
        ("${FILE//./$$1}", "a/b/archive1tar1gz"),
        ("${FILE/+/x}", "a/b/archive.tar.gz"),
        ("${EMPTY//x/y}", ""),
    ],
)
def test_patterns_cut_and_replace(word: str, result: str) -> None:
    assert expanded(word) == result


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("${NOTHING:?the name is missing}", "NOTHING: the name is missing"),
        ("${NOTHING?}", "NOTHING: it is not set"),
        ("${EMPTY:?}", "EMPTY: it is empty"),
        ("${", "not closed"),
        ("${NAME", "not closed"),
        ("${NAME:", "not closed"),
        ("${NAME:-x", "missing"),
        ("${}", "bad substitution"),
        ("${:-x}", "bad substitution"),
        ("${{NAME}}", "bad substitution"),
        ("${NAME:=x}", "no substitution"),
        ("${NAME:#x}", "no substitution"),
        ("${NAME^}", "no substitution"),
        ("${NAME/x}", "missing"),
        ("'open", "single quote"),
        ('"open', "double quote"),
        (r"${NAME#\a}", "invalid pattern"),
        ("${NOTHING:-" * 5000 + "}" * 5000, "nested more than 50 deep"),
        ('"${NOTHING:-' * 5000, "nested more than 50 deep"),
    ],
)
def test_a_bad_word_says_what_is_wrong_with_it(word: str, says: str) -> None:
    with pytest.raises(InputError, match="cannot expand") as caught:
        expanded(word)
    assert says in str(caught.value)


def test_the_files_own_escape_is_the_one_that_counts() -> None:
    assert expanded("`$NAME", "`") == "$NAME"
    assert expanded("C:\\dir\\$NAME", "`") == "C:\\dir\\shoal"
    assert expanded('"`"quoted`""', "`") == '"quoted"'


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("$PORTS", ["80", "443"]),
        ('"$PORTS"', ["80 443"]),
        ("'80 443'", ["80 443"]),
        ("$PORTS/tcp", ["80", "443/tcp"]),
        ("1$PORTS", ["180", "443"]),
        (r"a\ b c", ["a b", "c"]),
        ("$EMPTY", []),
        ("''", []),
        ("  a   b ", ["a", "b"]),
        ("a\x1cb", ["a\x1cb"]),
        ("a\u3000b", ["a", "b"]),
    ],
)
def test_a_word_falls_apart_at_blanks_that_are_not_quoted(word: str, words: list[str]) -> None:
    assert expand_words(word, VALUES.get) == words


def test_a_here_document_keeps_its_quotes() -> None:
    assert (
        expand_document("'$NAME' \"${NOTHING:-x}\" it's \\$NAME\n", VALUES.get)
        == "'shoal' \"x\" it's $NAME\n"
    )


def test_a_title_keeps_quotes_and_what_is_unset() -> None:
    assert expand_title("RUN echo \"$NAME\" '$NAME' $NOTHING ${NOTHING:-x}", VALUES.get) == (
        "RUN echo \"shoal\" '$NAME' $NOTHING ${NOTHING:-x}"
    )
    assert expand_title("RUN echo ${NAME", VALUES.get) == "RUN echo ${NAME"


def test_variables_with_a_fallback_are_not_wanted() -> None:
    word = "$A ${B} \"${C}\" ${D:-$E} ${F#x} ${G/a/b} ${H:+x} ${I?} '$J' \\$K"
    assert variables_in(word) == {"A", "B", "C", "E", "F", "G"}
    assert mentioned_in(word) == {"A", "B", "C", "D", "E", "F", "G", "H", "I"}


@given(st.text(alphabet="a$\"'\\{}:-+?#%/* \t", max_size=30))
def test_any_word_is_expanded_or_refused(word: str) -> None:
    try:
        expanded(word)
    except InputError:
        assert expand_title(word, VALUES.get) == word


@given(st.text(alphabet=st.characters(exclude_characters="$'\"\\\0"), max_size=40))
def test_text_without_anything_special_stays_as_it_is(text: str) -> None:
    assert expanded(text) == text
    assert expanded(f"'{text}'") == text
