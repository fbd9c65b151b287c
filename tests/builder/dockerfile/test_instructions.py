import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.dockerfile.failure import DockerfileError
from builder.dockerfile.instructions import (
    Add,
    Arg,
    Cmd,
    Command,
    Copy,
    Entrypoint,
    Env,
    Expose,
    Healthcheck,
    Label,
    Maintainer,
    OnBuild,
    Place,
    Run,
    Shell,
    StopSignal,
    User,
    Volume,
    Workdir,
)
from builder.dockerfile.parser import parse_dockerfile, parse_instruction
from tests.builder.dockerfile.reading import instruction, mistake, parsed

PLACE = Place(2, 2)


@pytest.mark.parametrize(
    ("text", "image", "name", "platform"),
    [
        ("FROM alpine", "alpine", None, None),
        ("FROM alpine AS Build", "alpine", "build", None),
        ("from alpine as b_1.x-y", "alpine", "b_1.x-y", None),
        ("FROM --platform=$BUILDPLATFORM alpine:${V} AS x", "alpine:${V}", "x", "$BUILDPLATFORM"),
        ('FROM --platform="linux/amd64" a', "a", None, "linux/amd64"),
        ("FROM  a\tAS \t x  ", "a", "x", None),
    ],
)
def test_from(text: str, image: str, name: str | None, platform: str | None) -> None:
    from_ = parsed(text).stages[0].from_
    assert (from_.image, from_.stage_name, from_.platform) == (image, name, platform)


def test_arguments_before_the_first_stage_are_global() -> None:
    dockerfile = parsed("ARG A=1 B\nFROM a\nARG C\nFROM b AS c\nUSER u")
    assert [arg.pairs for arg in dockerfile.global_args] == [(("A", "1"), ("B", None))]
    assert [(stage.position, stage.name, len(stage.instructions)) for stage in dockerfile.stages] == [
        (0, None, 1),
        (1, "c", 1),
    ]


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("ENV A=b", (("A", "b"),)),
        ("ENV A=b C='d e' F=\"g h\"", (("A", "b"), ("C", "'d e'"), ("F", '"g h"'))),
        ("ENV A=b\\ c D=", (("A", "b\\ c"), ("D", ""))),
        ("ENV A=b=c", (("A", "b=c"),)),
        ("ENV A the  rest = of it", (("A", "the  rest = of it"),)),
        ("ENV A 'x'", (("A", "'x'"),)),
        ('ENV A="a\\"b" C=d', (("A", '"a\\"b"'), ("C", "d"))),
        ("ENV A='a\\' C=d", (("A", "'a\\'"), ("C", "d"))),
    ],
)
def test_env_has_the_new_and_the_old_form(text: str, pairs: tuple[tuple[str, str], ...]) -> None:
    assert instruction(text) == Env(PLACE, text, pairs)
    label = instruction(text.replace("ENV", "LABEL"))
    assert isinstance(label, Label)
    assert label.pairs == pairs


def test_arg_has_names_with_and_without_a_default() -> None:
    text = "ARG A B= C='x y' D=$A"
    assert instruction(text) == Arg(PLACE, text, (("A", None), ("B", ""), ("C", "'x y'"), ("D", "$A")))


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        ('["a", "b c"]', Command(("a", "b c"), shell=False)),
        ("[]", Command((), shell=False)),
        ('[ "a" ]  ', Command(("a",), shell=False)),
        ('["\\u00e4\\n"]', Command(("ä\n",), shell=False)),
        ('["\\ud83d\\ude00", "\\ud800"]', Command(("😀", "�"), shell=False)),
        ("['a']", Command(("['a']",), shell=True)),
        ('["a"] b', Command(('["a"] b',), shell=True)),
        ('["a",]', Command(('["a",]',), shell=True)),
        ("[NaN]", Command(("[NaN]",), shell=True)),
        ("[Infinity]", Command(("[Infinity]",), shell=True)),
        ("[ -f x ]", Command(("[ -f x ]",), shell=True)),
        ('{"a": 1}', Command(('{"a": 1}',), shell=True)),
        ("a  b $C 'd'", Command(("a  b $C 'd'",), shell=True)),
        ("", Command(("",), shell=True)),
        ("[" * 20_000, Command(("[" * 20_000,), shell=True)),
    ],
)
def test_commands_are_json_or_for_the_shell(arguments: str, command: Command) -> None:
    for keyword, kind in (("CMD", Cmd), ("ENTRYPOINT", Entrypoint)):
        read = instruction(f"{keyword} {arguments}")
        assert isinstance(read, kind)
        assert read.command == command


@pytest.mark.parametrize(
    "arguments", ["[1]", '["a", null]', '["a", ["b"]]', "[" + "9" * 5000 + "]", "[true]"]
)
def test_json_with_something_that_is_no_string_is_a_mistake(arguments: str) -> None:
    for keyword in ("RUN", "CMD", "ENTRYPOINT", "SHELL", "COPY", "VOLUME", "HEALTHCHECK CMD", "ONBUILD RUN"):
        assert "strings only" in mistake(f"FROM a\n{keyword} {arguments}").problem


def test_copy_has_its_flags() -> None:
    text = "COPY --from=build --chown=1:$G --chmod=u+x --link --parents --exclude=*.a --exclude=b x y z/"
    assert instruction(text) == Copy(
        PLACE, text, ("x", "y"), (), "z/", "build", "1:$G", "u+x", True, True, ("*.a", "b")
    )


def test_add_has_its_flags() -> None:
    text = "ADD --checksum=sha256:1 --keep-git-dir=true --unpack=false --link=False https://x/y /z"
    assert instruction(text) == Add(
        PLACE,
        text,
        ("https://x/y",),
        (),
        "/z",
        checksum="sha256:1",
        keep_git_dir=True,
        unpack=False,
    )
    plain = instruction("ADD a b")
    assert isinstance(plain, Add)
    assert plain.unpack is None


def test_copy_in_json_has_names_with_blanks() -> None:
    read = instruction('COPY --chown=1 ["a b", "c", "/d e/"]')
    assert isinstance(read, Copy)
    assert (read.sources, read.destination, read.chown) == (("a b", "c"), "/d e/", "1")


def test_run_has_its_flags() -> None:
    read = instruction("RUN --network=none --security=insecure --mount=target=/x -- --mount=y")
    assert isinstance(read, Run)
    assert (read.network, read.security, len(read.mounts)) == ("none", "insecure", 1)
    assert read.command.words == ("--mount=y",)
    later = instruction("RUN make --mount=x")
    assert isinstance(later, Run)
    assert later.command.words == ("make --mount=x",)


def test_quotes_and_backslashes_of_flags_are_removed() -> None:
    read = instruction("COPY --chown=\"a b\":c --exclude='*.a b' --exclude=x\\ y a b")
    assert isinstance(read, Copy)
    assert (read.chown, read.excludes) == ("a b:c", ("*.a b", "x y"))


def test_healthcheck_has_durations() -> None:
    read = instruction(
        "HEALTHCHECK --interval=1m30s --timeout=1.5s --start-period=0 --start-interval=250ms --retries=3 cmd curl x"
    )
    assert isinstance(read, Healthcheck)
    assert read.command == Command(("curl x",), shell=True)
    assert (read.interval_ns, read.timeout_ns) == (90_000_000_000, 1_500_000_000)
    assert (read.start_period_ns, read.start_interval_ns, read.retries) == (0, 250_000_000, 3)
    none = instruction("HEALTHCHECK none")
    assert isinstance(none, Healthcheck)
    assert none.command is None
    in_json = instruction('HEALTHCHECK CMD ["a", "b"]')
    assert isinstance(in_json, Healthcheck)
    assert in_json.command == Command(("a", "b"), shell=False)


def test_what_takes_one_argument_takes_the_rest_of_the_line() -> None:
    assert instruction("WORKDIR /a b") == Workdir(PLACE, "WORKDIR /a b", "/a b")
    assert instruction("USER $U:g") == User(PLACE, "USER $U:g", "$U:g")
    assert instruction("STOPSIGNAL 9") == StopSignal(PLACE, "STOPSIGNAL 9", "9")
    assert instruction("MAINTAINER A <b@c>") == Maintainer(PLACE, "MAINTAINER A <b@c>", "A <b@c>")


def test_lists() -> None:
    assert instruction("EXPOSE 443 $P 80/udp") == Expose(
        PLACE, "EXPOSE 443 $P 80/udp", ("$P", "443", "80/udp")
    )
    assert instruction("VOLUME /a $B") == Volume(PLACE, "VOLUME /a $B", ("/a", "$B"))
    assert instruction('VOLUME [" /a b "]') == Volume(PLACE, 'VOLUME [" /a b "]', ("/a b",))
    assert instruction('SHELL ["a", "-c"]') == Shell(PLACE, 'SHELL ["a", "-c"]', ("a", "-c"))


def test_the_text_has_the_keyword_in_capitals() -> None:
    assert instruction("run  a \\\n  b").text == "RUN  a   b"
    assert instruction("Copy --link a b").text == "COPY --link a b"


def test_a_trigger_is_kept_as_text() -> None:
    read = instruction("ONBUILD  COPY --chown=1 a \\\n b")
    assert isinstance(read, OnBuild)
    assert read.trigger == "COPY --chown=1 a  b"


def test_go_s_blanks_are_not_python_s() -> None:
    read = instruction("ENV A=b\x1cc D=e")
    assert isinstance(read, Env)
    assert read.pairs == (("A", "b\x1cc"), ("D", "e"))
    copy = instruction("COPY a\u00a0b c")
    assert isinstance(copy, Copy)
    assert copy.sources == ("a\u00a0b",)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("FROM a b", "FROM <image> [AS <name>]"),
        ("FROM a AS", "FROM <image> [AS <name>]"),
        ("FROM a IS b", "FROM <image> [AS <name>]"),
        ("FROM a # b c", "FROM <image> [AS <name>]"),
        ("FROM", "FROM <image> [AS <name>]"),
        ("FROM a AS 1b", "no name for a stage"),
        ("FROM a AS b/c", "no name for a stage"),
        ("FROM --plat=x a", "did you mean --platform?"),
        ("FROM --platform a", "--platform needs a value"),
        ("FROM a\nCOPY", "a source and a destination"),
        ("FROM a\nCOPY a", "a destination, too"),
        ('FROM a\nCOPY ["a"]', "a destination, too"),
        ("FROM a\nCOPY --chown a b", "--chown needs a value"),
        ("FROM a\nCOPY --chown=1 --chown=2 a b", "given twice"),
        ("FROM a\nCOPY --link --link a b", "given twice"),
        ("FROM a\nCOPY --link=yes a b", "true or false"),
        ("FROM a\nCOPY --link= a b", "--link needs a value"),
        ("FROM a\nCOPY --from=$X a b", "takes no variables"),
        ("FROM a\nADD --from=x a b", "ADD has no flag --from"),
        ("FROM a\nRUN --network=lan x", "--network=lan is not possible"),
        ("FROM a\nRUN --security=x y", "--security=x is not possible"),
        ("FROM a\nRUN []", "runs nothing"),
        ("FROM a\nENV", "ENV <name>=<value>"),
        ("FROM a\nENV A", "ENV A=<value>"),
        ("FROM a\nENV A=b c", "'c' has no ="),
        ("FROM a\nENV =b", "a name before the equals sign"),
        ("FROM a\nLABEL a=b =c", "a name before the equals sign"),
        ("FROM a\nARG", "ARG <name>"),
        ("FROM a\nARG =x", "a name before the equals sign"),
        ("FROM a\nENV --x A=b", "it has no flags"),
        ("FROM a\nUSER", "USER <user>"),
        ("FROM a\nEXPOSE", "EXPOSE <port>"),
        ("FROM a\nVOLUME []", "not empty"),
        ('FROM a\nVOLUME ["a", " "]', "not empty"),
        ("FROM a\nSHELL /bin/sh -c", "JSON array"),
        ("FROM a\nSHELL []", "JSON array"),
        ("FROM a\nHEALTHCHECK", "CMD or NONE"),
        ("FROM a\nHEALTHCHECK curl x", "CMD or NONE"),
        ("FROM a\nHEALTHCHECK NONE x", "nothing more"),
        ("FROM a\nHEALTHCHECK CMD", "needs a command"),
        ("FROM a\nHEALTHCHECK CMD []", "needs a command"),
        ("FROM a\nHEALTHCHECK --interval=5 CMD x", "no duration"),
        ("FROM a\nHEALTHCHECK --interval=1us CMD x", "at least 1ms"),
        ("FROM a\nHEALTHCHECK --interval=-1s CMD x", "no duration"),
        ("FROM a\nHEALTHCHECK --retries=-1 CMD x", "expected a number"),
        ("FROM a\nHEALTHCHECK --interval=9999999h CMD x", "not possible"),
        ("FROM a\nONBUILD", "ONBUILD <instruction>"),
        ("FROM a\nONBUILD ONBUILD RUN x", "ONBUILD ONBUILD is not allowed"),
        ("FROM a\nONBUILD from b", "ONBUILD FROM is not allowed"),
        ("FROM a\nONBUILD MAINTAINER b", "ONBUILD MAINTAINER is not allowed"),
        ("FROM a\nONBUILD RUM x", "did you mean RUN?"),
        ("FROM a\nONBUILD COPY x", "a destination, too"),
    ],
)
def test_a_mistake_says_what_would_be_right(text: str, says: str) -> None:
    assert says in mistake(text).problem


def test_a_trigger_that_fires_is_read_like_an_instruction() -> None:
    place = Place(9, 9, 3)
    assert parse_instruction("USER u", "\\", place) == User(place, "USER u", "u")
    for text in ("", "FROM a", "ONBUILD RUN x", "MAINTAINER x", "RUN a\nRUN b", "NOPE"):
        with pytest.raises(DockerfileError, match=r"^ONBUILD trigger:[12]:1: "):
            parse_instruction(text, "\\", place)


_WORDS = st.sampled_from(
    [
        "FROM",
        "RUN",
        "COPY",
        "ENV",
        "a",
        "b=c",
        "--x",
        "--mount=type=cache",
        "<<EOF",
        "EOF",
        "\\",
        "\n",
        "#",
        '["a"]',
        "'",
    ]
)


def refused(content: bytes) -> DockerfileError | None:
    try:
        parse_dockerfile(content)
    except DockerfileError as error:
        return error
    return None


@given(st.lists(_WORDS, max_size=25))
def test_any_file_is_read_or_refused_with_a_place(words: list[str]) -> None:
    content = f"FROM a\n{' '.join(words)}".replace(" \n ", "\n").encode()
    error = refused(content)
    assert error is None or (1 <= error.line <= len(content.split(b"\n")) and error.column >= 1)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    error = refused(b"FROM a\n" + content)
    assert error is None or error.problem
