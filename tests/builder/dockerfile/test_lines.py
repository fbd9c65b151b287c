import pytest

from builder.dockerfile.failure import DockerfileError
from builder.dockerfile.instructions import Run
from builder.dockerfile.parser import parse_dockerfile
from tests.builder.dockerfile.reading import instruction, mistake, parsed


def shell(text: str) -> str:
    run = instruction(text)
    assert isinstance(run, Run)
    return run.command.words[0]


@pytest.mark.parametrize(
    ("text", "joined"),
    [
        ("RUN a \\\n  b", "a   b"),
        ("RUN a\\\nb", "ab"),
        ("RUN a \\   \t\n  b", "a   b"),
        ("RUN a \\\n# comment\n  # another\n b", "a  b"),
        ("RUN a \\\n\n\n b", "a  b"),
        ("RUN 'a \\\n# dropped\nb'", "'a b'"),
        ("RUN \\\n\\\na", "a"),
        ("RUN a \\\r\n b\r", "a  b"),
        ("RUN a # no comment", "a # no comment"),
        ("RUN a \\", "a"),
        ("   RUN a", "a"),
        ("RUN\ta", "a"),
        ("run a", "a"),
    ],
)
def test_lines_are_joined_with_nothing_between(text: str, joined: str) -> None:
    assert shell(text) == joined


def test_two_escapes_at_the_end_do_not_go_on() -> None:
    dockerfile = parsed("FROM a\nRUN x \\\\\nRUN y\n")
    assert [one.text for one in dockerfile.stages[0].instructions] == ["RUN x \\\\", "RUN y"]


def test_another_escape_may_be_chosen() -> None:
    dockerfile = parsed("# escape=`\nFROM a\nRUN dir C:\\ `\n  x\nCOPY a C:\\\nRUN y\n")
    assert dockerfile.escape == "`"
    assert [one.text for one in dockerfile.stages[0].instructions] == [
        "RUN dir C:\\   x",
        "COPY a C:\\",
        "RUN y",
    ]


def test_directives_are_the_first_lines_alone() -> None:
    dockerfile = parsed("#syntax = docker/dockerfile:1  \n# Escape=`\n# check=skip=all\nFROM a\n")
    assert (dockerfile.syntax, dockerfile.escape, dockerfile.check) == (
        "docker/dockerfile:1",
        "`",
        "skip=all",
    )
    for before in ("\n", "# words\n", "# unknown=x\n", "FROM b\n"):
        assert parsed(f"{before}# escape=`\nFROM a\n").escape == "\\"


def test_a_byte_order_mark_is_no_character() -> None:
    assert parse_dockerfile(b"\xef\xbb\xbf# escape=`\nFROM a").escape == "`"
    assert parse_dockerfile(b"\xef\xbb\xbfFROM a").stages[0].from_.image == "a"


def test_a_comment_may_be_in_any_encoding() -> None:
    assert parse_dockerfile(b"# M\xfcller\nFROM a\n").stages[0].from_.image == "a"


def test_a_line_of_65535_bytes_is_the_longest() -> None:
    longest = b"RUN " + b"x" * 65_531
    assert parse_dockerfile(b"FROM a\n" + longest + b"\n").stages[0].instructions
    with pytest.raises(DockerfileError, match="longer than 65,535 bytes") as caught:
        parse_dockerfile(b"FROM a\n" + longest + b"x\n")
    assert caught.value.line == 2
    assert len(str(caught.value)) < 500


def test_places_are_the_files_lines() -> None:
    dockerfile = parsed("# head\n\nFROM a\n  RUN x \\\n\n   y\nCOPY <<E /\nbody\nE\nUSER u\n")
    places = [
        (one.place.line, one.place.end_line, one.place.column) for one in dockerfile.stages[0].instructions
    ]
    assert places == [(4, 6, 3), (7, 9, 1), (10, 10, 1)]


@pytest.mark.parametrize(
    ("text", "line", "column", "says"),
    [
        ("", 1, 1, "empty"),
        ("\n\n", 1, 1, "no instruction"),
        ("# only\n# comments\n", 1, 1, "no instruction"),
        ("ARG a\n", 1, 1, "no FROM"),
        ("RUN x\nFROM a\n", 1, 1, "before the first FROM"),
        ("# escape=`\n# escape=`\nFROM a", 2, 3, "second escape"),
        ("# escape=x\nFROM a", 1, 10, "not possible"),
        ("# check=skp=x\nFROM a", 1, 9, "did you mean skip?"),
        ("FROM a\nRUM x\n", 2, 1, "did you mean RUN?"),
        ("FROM a\nWORKDIR\n", 2, 1, "WORKDIR <path>"),
        ("FROM a\nRUN x \\\n  && COPY\nCOPPY a b", 4, 1, "did you mean COPY?"),
        ("FROM a\nCOPY \\\n   --form=b \\\n   a b", 3, 4, "did you mean --from?"),
        ("FROM a\n\\\n", 2, 1, "no instruction ''"),
    ],
)
def test_mistakes_have_their_place_and_their_remedy(text: str, line: int, column: int, says: str) -> None:
    error = mistake(text)
    assert says in error.problem
    assert (error.line, error.column) == (line, column)


def test_the_line_is_shown_with_a_caret() -> None:
    assert str(mistake("FROM a\n\tCOPY --form=x a /\n")).splitlines() == [
        "Dockerfile:2:7: COPY has no flag --form: did you mean --from?",
        "  2 | \tCOPY --form=x a /",
        "    | \t     ^",
    ]


def test_a_long_line_is_shown_around_its_mistake() -> None:
    shown = str(mistake(f"FROM a\nENV {'a=' + 'x' * 3000} oops\n")).splitlines()
    assert len(shown[1]) < 200
    assert shown[1][shown[2].index("^") :].startswith("oops")
