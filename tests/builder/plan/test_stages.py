import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.content.errors import InputError
from builder.dockerfile.failure import DockerfileError
from builder.dockerfile.parser import parse_dockerfile
from builder.plan.options import ImageContext, ImageRequest
from builder.plan.plan import Plan, Wanted
from builder.plan.planner import make_plan
from builder.plan.steps import (
    BindMount,
    CacheMount,
    ContextSource,
    CopyOperation,
    FileSource,
    ImageSource,
    RunOperation,
    StepSource,
)
from tests.builder.plan.planning import (
    AMD64,
    ARM64,
    copies,
    document,
    history,
    last_step,
    options,
    plan_of,
    runs,
    titles,
    wanted_of,
)

THREE = """\
FROM one AS first
RUN a
FROM two AS second
RUN b
FROM three AS third
COPY --from=first /x /y
RUN c
"""


def test_only_what_the_target_reaches_is_planned_and_only_its_images_are_wanted() -> None:
    assert wanted_of(THREE) == ["three", "one"]
    plan = plan_of(THREE)
    assert titles(plan) == [
        "[first 1/2] FROM one",
        "[first 2/2] RUN a",
        "[third 1/3] FROM three",
        "[third 2/3] COPY --from=first /x /y",
        "[third 3/3] RUN c",
    ]
    assert plan.target == 4
    assert copies(plan)[0].source == StepSource(1)


@pytest.mark.parametrize("target", ["second", "SECOND", "1"])
def test_the_target_is_a_stages_name_in_any_case_or_its_number(target: str) -> None:
    assert titles(plan_of(THREE, target=target)) == ["[second 1/2] FROM two", "[second 2/2] RUN b"]


def test_a_target_that_does_not_exist_is_told_with_the_one_that_was_meant() -> None:
    with pytest.raises(InputError, match="no stage 'secnd': did you mean second"):
        plan_of(THREE, target="secnd")


def test_stages_that_need_nothing_of_each_other_have_no_edge_between_them() -> None:
    text = "FROM a AS x\nRUN 1\nFROM b AS y\nRUN 2\nFROM scratch\nCOPY --from=x / /x\nCOPY --from=y / /y\n"
    steps = plan_of(text).steps
    assert [step.base for step in steps] == [None, 0, None, 2, None, 4, 5]


def test_a_stage_goes_on_from_the_last_step_of_the_one_that_it_names() -> None:
    plan = plan_of("FROM a AS x\nRUN 1\nFROM x\nRUN 2\n")
    assert [step.base for step in plan.steps] == [None, 0, 1]
    assert titles(plan)[-1] == "[stage-1 1/1] RUN 2"


def test_from_finds_a_stage_in_its_exact_case_alone_and_copy_in_any() -> None:
    plan = plan_of("FROM a AS base\nRUN 1\nFROM scratch\nCOPY --from=BASE /x /y\n")
    assert copies(plan)[0].source == StepSource(1)
    with pytest.raises(DockerfileError, match="neither a stage nor an image"):
        plan_of("FROM a AS base\nFROM BASE\n")


def test_a_number_is_a_stage_for_copies_and_mounts() -> None:
    text = "FROM a\nRUN 1\nFROM b\nCOPY --from=0 /x /y\nRUN --mount=from=0,target=/m 2\n"
    plan = plan_of(text)
    assert copies(plan)[0].source == StepSource(1)
    assert runs(plan)[1].mounts == (BindMount("/m", StepSource(1)),)


@pytest.mark.parametrize("name", ["0", "self", "late", "2"])
def test_a_stage_uses_those_before_it_alone(name: str) -> None:
    text = f"FROM a AS self\nCOPY --from={name} /x /y\nFROM b AS late\nFROM self\n"
    with pytest.raises(DockerfileError, match=r":2:.* must be defined before 'self'"):
        plan_of(text)


def test_a_stages_number_that_does_not_exist_is_told() -> None:
    with pytest.raises(DockerfileError, match="there is no stage 7: the file has 1"):
        plan_of("FROM a\nCOPY --from=7 /x /y\n")


def test_what_is_no_stage_is_an_image() -> None:
    text = "FROM a\nCOPY --from=nginx:1 /etc /etc\nRUN --mount=from=tools,target=/t,source=bin x\n"
    assert wanted_of(text) == ["a", "nginx:1", "tools"]
    plan = plan_of(text)
    source = copies(plan)[0].source
    assert isinstance(source, ImageSource)
    assert source.name == "nginx:1"
    mount = runs(plan)[0].mounts[0]
    assert isinstance(mount, BindMount)
    assert isinstance(mount.source, ImageSource)
    assert mount.path == "/bin"


def test_scratch_has_no_files_and_its_beginning_is_not_shown() -> None:
    plan = plan_of("FROM scratch\nCOPY a /b\n")
    assert titles(plan) == ["[1/1] COPY a /b"]
    assert plan.steps[0].layers == ()
    assert document(plan)["config"]["WorkingDir"] == "/"


def test_a_name_that_variables_leave_empty_is_told() -> None:
    with pytest.raises(DockerfileError, match=r":1:.*the name is empty"):
        plan_of("FROM $NOTHING\n")


# -- named contexts


def test_a_named_context_stands_for_a_whole_stage() -> None:
    text = "FROM a AS deps\nRUN long\nFROM b\nCOPY --from=deps /x /y\n"
    plan = plan_of(text, contexts={"deps": ContextSource("deps")})
    assert copies(plan)[0].source == ContextSource("deps")
    assert titles(plan) == ["[stage-1 1/2] FROM b", "[stage-1 2/2] COPY --from=deps /x /y"]


def test_a_stage_may_begin_with_a_named_image() -> None:
    plan = plan_of(
        "FROM a AS deps\nRUN x\nFROM deps\nRUN y\n",
        {"other:1": {"Env": ["A=1"]}},
        contexts={"deps": ImageContext("other:1")},
    )
    assert titles(plan) == ["[context deps] other:1", "[stage-1 1/1] RUN y"]
    assert ("A", "1") in runs(plan)[0].environment


@pytest.mark.parametrize("name", ["alpine", "alpine:latest", "docker.io/library/alpine"])
def test_a_named_context_stands_for_an_image_by_any_of_its_names(name: str) -> None:
    for text in ("FROM alpine\nRUN x\n", "FROM b\nCOPY --from=docker.io/library/alpine:latest / /\n"):
        assert "alpine" not in " ".join(wanted_of(text, contexts={name: ContextSource(name)}))


def test_the_files_of_a_context_are_the_first_layer_of_a_stage_that_begins_with_it() -> None:
    plan = plan_of("FROM root\nRUN x\n", contexts={"root": ContextSource("root")})
    assert copies(plan)[0] == CopyOperation(ContextSource("root"), (".",), "/")
    assert [step.base for step in plan.steps] == [None, 0, 1]
    assert len(document(plan)["rootfs"]["diff_ids"]) == 2


# -- triggers


def test_triggers_of_the_base_image_run_first_and_are_gone_from_the_image() -> None:
    plan = plan_of("FROM a\nRUN own\n", {"a": {"OnBuild": ["COPY . /src", "ENV A=b"]}})
    assert titles(plan) == ["[1/4] FROM a", "[2/4] ONBUILD COPY . /src", "[3/4] RUN own"]
    assert history(plan)[:2] == ["COPY . /src # buildkit", "ENV A=b"]
    assert "OnBuild" not in document(plan)["config"]


def test_triggers_of_a_stage_fire_where_another_one_begins_with_it() -> None:
    plan = plan_of("FROM a AS x\nONBUILD RUN later\nFROM x\nRUN own\n")
    assert [run.arguments[-1] for run in runs(plan)] == ["later", "own"]
    target = plan_of("FROM a AS x\nONBUILD RUN later\nONBUILD USER me\n")
    assert document(target)["config"]["OnBuild"] == ["RUN later", "USER me"]


def test_a_trigger_may_need_an_image_or_a_stage_that_nobody_named_before() -> None:
    plan = plan_of("FROM a\n", {"a": {"OnBuild": ["COPY --from=tools:2 /x /y"]}})
    source = copies(plan)[0].source
    assert isinstance(source, ImageSource)
    assert source.name == "tools:2"


@pytest.mark.parametrize("trigger", ["ONBUILD RUN x", "FROM b", "MAINTAINER me", "NONSENSE"])
def test_what_is_no_trigger_is_refused_at_the_from_that_brings_it(trigger: str) -> None:
    with pytest.raises(DockerfileError, match=r"Dockerfile:1:.*ONBUILD of a: "):
        plan_of("FROM a\n", {"a": {"OnBuild": [trigger]}})


# -- platforms


def test_a_stage_may_run_on_the_platform_that_builds() -> None:
    build = "FROM --platform=$BUILDPLATFORM go AS b\nARG TARGETARCH\nRUN x $TARGETARCH\n"
    text = f"{build}FROM alpine\nCOPY --from=b /o /o\n"
    plan = plan_of(text, platform=ARM64, platform_given=True, many_platforms=True)
    assert [step.platform for step in plan.steps] == [
        "linux/amd64",
        "linux/amd64",
        "linux/arm64",
        "linux/arm64",
    ]
    assert titles(plan) == [
        "[linux/amd64 b 1/2] FROM go",
        "[linux/amd64->arm64 b 2/2] RUN x arm64",
        "[linux/arm64 stage-1 1/2] FROM alpine",
        "[linux/arm64 stage-1 2/2] COPY --from=b /o /o",
    ]
    assert document(plan)["architecture"] == "arm64"


def test_an_image_says_its_bases_platform_where_nobody_asked_for_one() -> None:
    text = "FROM --platform=linux/arm64 a\n"
    assert document(plan_of(text))["architecture"] == "arm64"
    assert document(plan_of(text, platform_given=True))["architecture"] == "amd64"


def test_a_platform_that_is_none_is_told() -> None:
    with pytest.raises(DockerfileError, match="invalid platform 'arm64'"):
        plan_of("FROM --platform=arm64 a\n")


# -- titles


def test_the_title_leaves_out_the_stages_name_where_there_is_one_stage_and_nothing_else() -> None:
    assert titles(plan_of("FROM a AS x\nRUN y\n"))[1] == "[2/2] RUN y"
    assert titles(plan_of("FROM a AS x\nRUN --mount=type=cache,target=/c y\n"))[1].startswith("[x 2/2] ")
    assert titles(plan_of("FROM a\nCOPY --from=b /x /y\n"))[1].startswith("[stage-0 2/2] ")


def test_numbers_in_titles_are_as_wide_as_the_total() -> None:
    plan = plan_of("FROM a\n" + "RUN x\n" * 10)
    assert titles(plan)[0] == "[ 1/11] FROM a"
    assert titles(plan)[10] == "[11/11] RUN x"


# -- the graph as a whole


@st.composite
def _files(draw: st.DrawFn) -> str:
    lines = []
    for number in range(draw(st.integers(1, 6))):
        before = [f"s{other}" for other in range(number)]
        lines.append(f"FROM {draw(st.sampled_from(['scratch', 'image', *before]))} AS s{number}")
        for _ in range(draw(st.integers(0, 3))):
            name = draw(st.sampled_from([*before, "other"]))
            lines.append(
                draw(
                    st.sampled_from(
                        [
                            "RUN x",
                            "WORKDIR /w",
                            "ENV A=b",
                            f"COPY --from={name} /a /b",
                            f"RUN --mount=type=cache,from={name},target=/m y",
                        ]
                    )
                )
            )
    return "\n".join(lines) + "\n"


@given(_files())
def test_a_plan_is_in_order_and_has_nothing_that_the_target_does_not_reach(text: str) -> None:
    plan = plan_of(text)
    needs = {step.number: _needs(plan, step.number) for step in plan.steps}
    assert [step.number for step in plan.steps] == list(range(len(plan.steps)))
    assert all(other < number for number, others in needs.items() for other in others)
    reached, open_steps = set[int](), [plan.target]
    while open_steps:
        number = open_steps.pop()
        reached.add(number)
        open_steps += [other for other in needs[number] if other not in reached]
    # A stage that is used has its beginning in the plan, from which its last step is reached.
    assert reached == set(needs)


def _needs(plan: Plan, number: int) -> list[int]:
    step = plan.steps[number]
    sources: list[FileSource] = []
    if isinstance(step.operation, CopyOperation):
        sources.append(step.operation.source)
    if isinstance(step.operation, RunOperation):
        mounts = step.operation.mounts
        sources += [one.source for one in mounts if isinstance(one, BindMount | CacheMount) and one.source]
    used = [source.step for source in sources if isinstance(source, StepSource)]
    return used + ([] if step.base is None else [step.base])


def test_the_lines_of_steps_are_those_of_the_file() -> None:
    plan = plan_of("# a comment\nFROM a\n\nRUN x \\\n  y\n")
    assert [step.line for step in plan.steps] == [2, 4]
    assert last_step(plan).stage == "stage-0"


def test_an_image_is_wanted_once_for_each_platform_that_needs_it() -> None:
    text = "FROM --platform=linux/arm64 a AS x\nFROM a AS y\nFROM a\nCOPY --from=x / /x\nCOPY --from=y / /y\n"
    answer = make_plan(parse_dockerfile(text.encode()), options(), {})
    assert isinstance(answer, Wanted)
    assert set(answer.requests) == {ImageRequest("a", AMD64), ImageRequest("a", ARM64)}
