import pytest

from builder.dockerfile.check import checked
from builder.dockerfile.failure import DockerfileError
from builder.dockerfile.ignore import IgnorePatterns
from builder.dockerfile.instructions import Place
from builder.dockerfile.lint import ignored_sources
from tests.builder.dockerfile.reading import mistake, parsed

DESCRIBED = "# check=experimental=InvalidDefinitionDescription\n"


def found(text: str) -> list[tuple[str, int]]:
    dockerfile = parsed(text)
    return [(warning.rule, warning.place.line) for warning in checked(dockerfile, dockerfile.warnings)]


@pytest.mark.parametrize(
    ("rule", "line", "text", "clean"),
    [
        ("StageNameCasing", 1, "FROM a AS Build", "FROM a AS build"),
        ("FromAsCasing", 1, "FROM a as b", "from a as b"),
        ("FromAsCasing", 1, "from a AS b", "FROM a AS b"),
        ("NoEmptyContinuation", 2, "FROM a\nRUN x \\\n\n  y", "FROM a\nRUN x \\\n# z\n  y"),
        ("ConsistentInstructionCasing", 2, "FROM a\nuser u\nARG x", "arg V\nFROM a\nUSER u"),
        ("ConsistentInstructionCasing", 2, "FROM a\nUser u", "from a\nuser u"),
        ("ConsistentInstructionCasing", 1, "FROM a\nuser u\narg x", "FROM a"),
        ("DuplicateStageName", 2, "FROM a AS b\nFROM a AS b", "FROM a AS b\nFROM a AS c"),
        ("ReservedStageName", 1, "FROM a AS scratch", "FROM scratch AS a"),
        ("ReservedStageName", 1, "FROM a AS context", "FROM a AS contexts"),
        ("JSONArgsRecommended", 2, "FROM a\nCMD x", 'FROM a\nCMD ["x"]'),
        ("JSONArgsRecommended", 2, "FROM a\nENTRYPOINT x", 'FROM a\nSHELL ["x"]\nENTRYPOINT x'),
        ("JSONArgsRecommended", 2, "FROM a\nCMD ['x']", 'FROM a AS b\nSHELL ["x"]\nFROM b\nCMD x'),
        ("MaintainerDeprecated", 2, "FROM a\nMAINTAINER x", "FROM a\nLABEL maintainer=x"),
        ("UndefinedArgInFrom", 1, "FROM a$V", "ARG V=1\nFROM a:$V"),
        ("UndefinedArgInFrom", 1, "FROM a${V:-1}", "ARG V\nFROM a${V:-1}"),
        ("UndefinedArgInFrom", 1, "FROM --platform=$BUILDPLATFROM a", "FROM --platform=$BUILDPLATFORM a"),
        ("WorkdirRelativePath", 2, "FROM a\nWORKDIR x", "FROM a\nWORKDIR /y\nWORKDIR x"),
        ("WorkdirRelativePath", 2, "FROM a\nWORKDIR 'x'", 'FROM a\nWORKDIR "/x"'),
        ("WorkdirRelativePath", 2, "FROM a\nWORKDIR x", "FROM a AS b\nWORKDIR /y\nFROM b\nWORKDIR x"),
        ("WorkdirRelativePath", 2, "FROM a\nWORKDIR x\nWORKDIR y", "FROM a\nWORKDIR $X"),
        ("MultipleInstructionsDisallowed", 2, 'FROM a\nCMD ["x"]\nCMD ["y"]', 'FROM a\nCMD ["x"]\nFROM a\nCMD ["y"]'),
        ("MultipleInstructionsDisallowed", 2, "FROM a\nHEALTHCHECK NONE\nHEALTHCHECK NONE", "FROM a\nHEALTHCHECK NONE"),
        ("LegacyKeyValueFormat", 2, "FROM a\nENV a b", "FROM a\nENV a=b"),
        ("LegacyKeyValueFormat", 2, "FROM a\nLABEL a b=c", "FROM a\nLABEL a=b c=d"),
        ("RedundantTargetPlatform", 1, "FROM --platform=$TARGETPLATFORM a", "FROM --platform=$BUILDPLATFORM a"),
        ("RedundantTargetPlatform", 1, "FROM --platform=${TARGETPLATFORM} a", "FROM --platform=$TARGETOS/arm64 a"),
        ("SecretsUsedInArgOrEnv", 2, "FROM a\nARG DB_PASSWORD", "FROM a\nARG DB_PASSWORD_FILE"),
        ("SecretsUsedInArgOrEnv", 2, "FROM a\nENV token=x", "FROM a\nENV tokens=x PUBLIC_KEY=x"),
        ("InvalidDefaultArgInFrom", 2, "ARG V\nFROM a:$V", "ARG V=1\nFROM a:$V"),
        ("InvalidDefaultArgInFrom", 2, "ARG V\nFROM $V", "ARG V\nFROM ${V:-a}"),
        ("FromPlatformFlagConstDisallowed", 1, "FROM --platform=linux/arm a", "FROM --platform=linux/arm a AS b-arm"),
        ("InvalidDefinitionDescription", 3, DESCRIBED + "# x\nARG a\nFROM b", DESCRIBED + "# a is it\nARG a\nFROM b"),
        ("InvalidDefinitionDescription", 3, DESCRIBED + "# x\nFROM a AS b", DESCRIBED + "# x\n\nFROM a AS b"),
        ("InvalidDefinitionDescription", 3, DESCRIBED + "# x\nFROM a AS b", DESCRIBED + "# x\n#\nFROM a AS b"),
        ("InvalidDefinitionDescription", 3, DESCRIBED + "# x\nFROM a AS b", "# x\nFROM a AS b"),
    ],
)  # fmt: skip
def test_each_rule_speaks_of_its_line_and_is_silent_when_it_is_followed(
    rule: str, line: int, text: str, clean: str
) -> None:
    assert found(text) == [(rule, line)]
    assert not found(clean)


def test_messages_are_those_people_know() -> None:
    dockerfile = parsed("FROM a AS Base\nENV api_key=1\nFROM --platform=linux/amd64 base${BASEE}\nWORKDIR x")
    assert [warning.message for warning in dockerfile.warnings] == [
        "Stage name 'Base' should be lowercase",
        "FROM argument 'BASEE' is not declared",
        'FROM --platform flag should not use constant value "linux/amd64"',
        'Do not use ARG or ENV instructions for sensitive data (ENV "api_key")',
        'Relative workdir "x" can have unexpected results if the base image changes',
    ]


def test_the_check_directive_skips_rules() -> None:
    text = "FROM a AS B\nMAINTAINER x\n"
    assert [rule for rule, _ in found(text)] == ["StageNameCasing", "MaintainerDeprecated"]
    assert found(f"# check=skip=StageNameCasing, Other\n{text}") == [("MaintainerDeprecated", 3)]
    assert not found(f"# check=skip=all;error=true\n{text}")


def test_a_check_above_an_instruction_is_for_that_one_alone() -> None:
    comments = "# a file\n\n# check=skip=StageNameCasing because it is old\n# it is\n"
    text = f"{comments}FROM a AS B\nFROM a AS C\nMAINTAINER x\n"
    assert found(text) == [("StageNameCasing", 6), ("MaintainerDeprecated", 7)]
    for comment in ("# check=skip=Other", "# check=skip", "# checks=skip=all", "# check=skip=all\n"):
        assert found(f"# a file\n\n{comment}\nFROM a AS B\n")[0][0] == "StageNameCasing"
    assert not found("# a file\n\n#Check = skip=all\nFROM a AS B\n")


def test_the_check_directive_makes_an_error_of_a_warning() -> None:
    dockerfile = parsed("# check=error=true\nFROM a AS B\nMAINTAINER x\n")
    with pytest.raises(DockerfileError, match="found: StageNameCasing, MaintainerDeprecated") as caught:
        checked(dockerfile, dockerfile.warnings)
    assert caught.value.line == 2
    clean = parsed("# check=error=true\nFROM a\n")
    assert checked(clean, clean.warnings) == ()


def test_a_bad_check_directive_is_a_mistake() -> None:
    assert "did you mean error?" in mistake("# check=eror=true\nFROM a").problem
    assert "true or false" in mistake("# check=error=perhaps\nFROM a").problem


def test_sources_that_are_not_in_the_context() -> None:
    def left_out(patterns: str, *paths: str) -> list[str]:
        read = IgnorePatterns.parse(patterns.encode())
        return [one.message for one in ignored_sources("COPY", paths, read, Place(1, 1))]

    assert left_out("a\n*.md", "a/b", "x.md", "c") == [
        'Attempting to Copy file "a/b" that is excluded by .dockerignore',
        'Attempting to Copy file "x.md" that is excluded by .dockerignore',
    ]
    assert not left_out("a\n!a/b", "a/b", "a")
    assert not left_out("a", ".", "/")
    assert left_out("*", ".")
