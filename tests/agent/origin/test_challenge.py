"""WWW-Authenticate lines, as registries send them and as they should not."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.origin.challenge import Challenge, parse_challenges

HUB = 'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push"'


def test_docker_hub_s_challenge_is_read() -> None:
    (challenge,) = parse_challenges([HUB])
    assert challenge.scheme == "bearer"
    assert challenge.parameters == {
        "realm": "https://auth.docker.io/token",
        "service": "registry.docker.io",
        "scope": "repository:a/b:pull,push",
    }
    assert challenge.scopes == ("repository:a/b:pull,push",)


@pytest.mark.parametrize(
    "lines",
    [
        ['Basic realm="r", Bearer realm="t",scope="a:b:pull,push"'],
        ['Basic realm="r"', 'Bearer realm="t",scope="a:b:pull,push"'],
        ['BASIC realm = "r" , bearer  realm="t" , Scope="a:b:pull,push",'],
        [', ,Basic realm="r",,Bearer realm=t, scope="a:b:pull,push"'],
    ],
)
def test_several_challenges_in_one_line_or_more_are_told_apart(lines: list[str]) -> None:
    basic, bearer = parse_challenges(lines)
    assert (basic.scheme, basic.parameters) == ("basic", {"realm": "r"})
    assert (bearer.scheme, bearer.parameters) == ("bearer", {"realm": "t", "scope": "a:b:pull,push"})


def test_schemes_without_parameters_and_with_a_token_are_passed() -> None:
    schemes = [
        challenge.scheme for challenge in parse_challenges(["Negotiate, NTLM dGVzdA==, Basic realm=x"])
    ]
    assert schemes == ["negotiate", "ntlm", "basic"]


def test_escapes_are_taken_off_and_the_first_of_equal_names_counts() -> None:
    (challenge,) = parse_challenges([r'Basic realm="a \"b\" \\c", realm="d"'])
    assert challenge.get("realm") == r'a "b" \c'


def test_an_unquoted_realm_that_is_a_url_is_read() -> None:
    (challenge,) = parse_challenges(["Bearer realm=https://r.test/token?a=b,service=s"])
    assert challenge.parameters == {"realm": "https://r.test/token?a=b", "service": "s"}


def test_scopes_are_a_sorted_set() -> None:
    assert Challenge("bearer", {"scope": "b:c:pull a:b:pull b:c:pull"}).scopes == ("a:b:pull", "b:c:pull")


def test_more_scope_is_noticed() -> None:
    assert parse_challenges([HUB + ',error="insufficient_scope"'])[0].wants_more_scope


@given(st.lists(st.text(max_size=200), max_size=3))
def test_nothing_makes_the_parser_fail(lines: list[str]) -> None:
    for challenge in parse_challenges(lines):
        assert challenge.scheme == challenge.scheme.lower()


@given(st.text(alphabet='Ba =",\\\t', max_size=60))
def test_dense_nonsense_does_not_make_the_parser_fail_or_hang(line: str) -> None:
    parse_challenges([line])


_NAMES = st.text(alphabet=string.ascii_lowercase, min_size=1, max_size=8)
_VALUES = st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), max_size=30)
_PARAMETERS = st.dictionaries(_NAMES, _VALUES, min_size=1, max_size=4)
_CHALLENGES = st.lists(st.tuples(_NAMES, _PARAMETERS), min_size=1, max_size=4)


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


@given(_CHALLENGES, st.booleans())
def test_what_is_written_is_read_back(challenges: list[tuple[str, dict[str, str]]], one_line: bool) -> None:
    texts = [
        scheme + " " + ", ".join(f"{name}={_quoted(value)}" for name, value in parameters.items())
        for scheme, parameters in challenges
    ]
    parsed = parse_challenges([", ".join(texts)] if one_line else texts)
    assert [(challenge.scheme, dict(challenge.parameters)) for challenge in parsed] == challenges
