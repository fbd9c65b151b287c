import pytest

from agent.content.errors import InputError
from builder.dockerfile.failure import DockerfileError
from tests.builder.plan.planning import ARM64, document, history, plan_of, runs


def environment(
    text: str, images: dict[str, dict[str, object]] | None = None, **given: object
) -> dict[str, str]:
    """Of the last RUN."""
    return dict(runs(plan_of(text, images, **given))[-1].environment)


def test_an_argument_takes_the_command_lines_value_over_its_default_over_the_global_one() -> None:
    text = "ARG A=global\nFROM a\nARG A{default}\nRUN x\n"
    assert environment(text.format(default=""))["A"] == "global"
    assert environment(text.format(default="=own"))["A"] == "own"
    assert environment(text.format(default="=own"), build_args={"A": "given"})["A"] == "given"


def test_an_argument_before_from_is_for_from_alone_until_it_is_declared_again() -> None:
    text = "ARG V=3\nFROM alpine:$V\nRUN echo $V\n"
    assert "V" not in environment(text)
    assert plan_of(text).steps[0].title == "[1/2] FROM alpine:3"
    assert plan_of(text, build_args={"V": "4"}).steps[0].title == "[1/2] FROM alpine:4"


def test_an_argument_without_a_value_is_not_in_the_environment_and_empty_in_the_history() -> None:
    plan = plan_of("FROM a\nARG A\nRUN x\n")
    assert "A" not in dict(runs(plan)[0].environment)
    assert history(plan) == ["ARG A", "RUN |1 A= /bin/sh -c x # buildkit"]


def test_of_an_argument_and_a_variable_of_one_name_the_later_holds() -> None:
    assert environment("FROM a\nARG A=1\nENV A=2\nRUN x\n")["A"] == "2"
    assert environment("FROM a\nENV A=2\nARG A\nRUN x\n")["A"] == "2"
    assert environment("FROM a\nENV A=2\nARG A=3\nRUN x\n")["A"] == "3"
    assert environment("FROM a\nENV A=2\nARG A\nRUN x\n", build_args={"A": "5"})["A"] == "5"
    assert "A=2" in document(plan_of("FROM a\nENV A=2\nARG A=3\n"))["config"]["Env"]


def test_the_history_tells_arguments_as_they_are_when_the_command_runs() -> None:
    plan = plan_of("FROM a\nARG A=1\nARG B=$A-2\nENV A=3\nRUN x\n")
    assert history(plan)[-1] == "RUN |2 A=3 B=1-2 /bin/sh -c x # buildkit"


def test_arguments_go_on_into_a_stage_that_begins_with_theirs() -> None:
    plan = plan_of("FROM a AS b\nARG A=1\nFROM b\nRUN x\n")
    assert dict(runs(plan)[0].environment)["A"] == "1"
    assert "A" not in environment("FROM a AS b\nARG A=1\nFROM c\nCOPY --from=b / /\nRUN x\n")


def test_the_platforms_are_known_where_they_are_declared() -> None:
    text = "FROM a\nARG TARGETPLATFORM\nARG TARGETARCH\nARG BUILDARCH\nARG TARGETSTAGE\nARG TARGETOS=mine\nRUN x\n"
    found = environment(text, platform=ARM64)
    wanted = {
        "TARGETPLATFORM": "linux/arm64",
        "TARGETARCH": "arm64",
        "BUILDARCH": "amd64",
        "TARGETOS": "mine",
    }
    assert wanted.items() <= found.items()
    assert found["TARGETSTAGE"] == "default"
    assert "TARGETARCH" not in environment("FROM a\nRUN x\n")


def test_proxies_need_no_declaration_and_are_in_no_environment_and_no_history() -> None:
    plan = plan_of("FROM a\nRUN x\n", build_args={"http_proxy": "http://p", "NO_PROXY": "local"})
    assert runs(plan)[0].proxies == (
        ("HTTP_PROXY", "http://p"),
        ("http_proxy", "http://p"),
        ("NO_PROXY", "local"),
        ("no_proxy", "local"),
    )
    assert "proxy" not in str(runs(plan)[0].environment) + str(history(plan))
    assert not plan.warnings


def test_a_proxy_that_is_declared_is_an_argument_like_others() -> None:
    assert environment("FROM a\nARG http_proxy\nRUN x\n", build_args={"http_proxy": "p"})["http_proxy"] == "p"


def test_arguments_that_nobody_declares_are_warned_of() -> None:
    args = {"A": "1", "NOPE": "2", "ALSO": "3", "TARGETARCH": "x", "BUILDKIT_INLINE_CACHE": "1"}
    plan = plan_of("FROM a\nARG A\n", build_args=args)
    assert [one.message for one in plan.warnings] == ["One or more build-args [ALSO NOPE] were not consumed"]


def test_variables_of_one_instruction_see_what_was_before_it() -> None:
    plan = plan_of("FROM a\nENV A=1\nENV A=2 B=$A\nRUN x\n")
    assert dict(runs(plan)[0].environment)["B"] == "1"
    assert history(plan)[1] == "ENV A=2 B=1"


def test_the_base_images_environment_and_the_default_path_are_there() -> None:
    found = environment("FROM a\nENV B=$A\nRUN x\n", {"a": {"Env": ["A=1"]}})
    assert found["B"] == "1"
    assert found["PATH"] == "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    assert environment("FROM a\nRUN x\n", {"a": {"Env": ["PATH=/own"]}})["PATH"] == "/own"


@pytest.mark.parametrize(
    ("instruction", "expected"),
    [
        ("WORKDIR $A", "WORKDIR /w/1"),
        ("USER $A", "USER 1"),
        ("EXPOSE $P", "EXPOSE [80/tcp 81/udp]"),
        ("VOLUME /$A", "VOLUME [/1]"),
        ("STOPSIGNAL $S", "STOPSIGNAL SIGINT"),
        ("LABEL $A=$A", "LABEL 1=1"),
        ("COPY $A /$A", "COPY 1 /1 # buildkit"),
        ("COPY --chown=$A --chmod=75$A a b", "COPY --chown=1 --chmod=751 a b # buildkit"),
        ("CMD $A", 'CMD ["/bin/sh" "-c" "$A"]'),
        ('ENTRYPOINT ["$A"]', 'ENTRYPOINT ["$A"]'),
        ("RUN $A", "RUN /bin/sh -c $A # buildkit"),
        ("MAINTAINER $A", "MAINTAINER $A"),
        ('SHELL ["$A"]', "SHELL [$A]"),
    ],
)
def test_what_expands_and_what_the_shell_expands(instruction: str, expected: str) -> None:
    plan = plan_of(f"FROM a\nWORKDIR /w\nENV A=1 P='80 81/udp' S=SIGINT\n{instruction}\n")
    assert history(plan)[-1] == expected


def test_a_mistake_in_an_expansion_is_told_at_its_line() -> None:
    with pytest.raises(DockerfileError, match=r"Dockerfile:2:.*must be given"):
        plan_of('FROM a\nENV A="${B:?must be given}"\n')


def test_a_variable_that_nobody_set_is_warned_of_with_the_one_that_was_meant() -> None:
    plan = plan_of("FROM a\nENV VERSION=1\nARG unset\nLABEL a=$VERSIN b=$unset c=${other:-x}\n")
    assert [(one.rule, one.message) for one in plan.warnings] == [
        ("UndefinedVar", "Usage of undefined variable '$VERSIN' (did you mean $VERSION?)")
    ]


def test_source_date_epoch_is_the_time_of_everything_wherever_it_is_said() -> None:
    for plan in (
        plan_of("FROM a\nRUN x\n", epoch=86400),
        plan_of("FROM a\nRUN x\n", build_args={"SOURCE_DATE_EPOCH": "86400"}),
        plan_of("ARG SOURCE_DATE_EPOCH=86400\nFROM a\nRUN x\n"),
        plan_of("ARG SOURCE_DATE_EPOCH=context\nFROM a\nRUN x\n", context_epoch=86400),
    ):
        assert plan.epoch == 86400
        assert {step.epoch for step in plan.steps} == {86400}
        assert document(plan)["created"] == "1970-01-02T00:00:00Z"
        assert {one["created"] for one in document(plan)["history"]} == {"1970-01-02T00:00:00Z"}


def test_where_nothing_tells_a_time_it_is_that_of_the_images_if_it_may_be() -> None:
    text = "FROM a\nRUN x\n"
    assert plan_of(text).epoch is None
    assert plan_of(text, epoch_of_images=True).epoch == 0  # of an image that tells none
    assert plan_of(text, epoch_of_images=True, epoch=86400).epoch == 86400


def test_a_time_of_the_context_is_a_number_wherever_it_is_used_and_nothing_where_nobody_knows_it() -> None:
    text = "FROM a\nARG SOURCE_DATE_EPOCH\nRUN x\n"
    for context_epoch, value in ((86400, "86400"), (None, "")):
        plan = plan_of(text, build_args={"SOURCE_DATE_EPOCH": "context"}, context_epoch=context_epoch)
        assert plan.epoch == context_epoch
        assert ("SOURCE_DATE_EPOCH", value) in runs(plan)[0].environment


@pytest.mark.parametrize("value", ["now", "-1", "1.5", " 5", "253402300800", "9" * 5000, "\u0661"])
def test_what_is_no_time_is_refused(value: str) -> None:
    with pytest.raises(InputError, match="expected seconds since 1970, or context"):
        plan_of("FROM a\n", build_args={"SOURCE_DATE_EPOCH": value})
