"""Warnings in the words that people know from BuildKit."""

from builder.dockerfile.parser import parse_dockerfile
from builder.execution.told_warnings import behind_build, of_check

_TWO = parse_dockerfile(b"FROM a AS B\nMAINTAINER x\n")
_ONE = parse_dockerfile(b"FROM a AS b\nCMD echo\n")


def test_behind_a_build_there_is_a_line_each() -> None:
    assert behind_build(()) == ""
    assert behind_build(_TWO.warnings).splitlines() == [
        "",
        " 2 warnings found (--check shows more):",
        " - StageNameCasing: Stage name 'B' should be lowercase (line 1)",
        " - MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label (line 2)",
    ]
    assert "1 warning found" in behind_build(_ONE.warnings)


def test_a_check_shows_the_place_and_the_page_of_the_rule() -> None:
    assert of_check((), _ONE) == "Check complete, no warnings found."
    told = of_check(_ONE.warnings, _ONE)
    assert told.startswith("Check complete, 1 warning has been found!\n\n")
    assert (
        "WARNING: JSONArgsRecommended - https://docs.docker.com/go/dockerfile/rule/json-args-recommended/"
        in told
    )
    assert "Dockerfile:2\n" in told
    assert "   2 | >>> CMD echo" in told
    assert "2 warnings have been found!" in of_check(_TWO.warnings, _TWO)
