from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.plan.cache_keys import content_key, definition_key, is_independent, layers_key, selections
from builder.plan.steps import (
    BindMount,
    CacheMount,
    ContextSource,
    CopyOperation,
    GitSource,
    ImageSource,
    InlineFile,
    MakeDirectory,
    Operation,
    RunOperation,
    ScriptFile,
    SecretMount,
    SshMount,
    Step,
    StepSource,
    TmpfsMount,
    UrlFile,
)
from tests.builder.plan.planning import layer, plan_of

COPY = CopyOperation(
    ContextSource(),
    ("a", "b*"),
    "/d/",
    inline=(InlineFile("EOF", "x"),),
    urls=(UrlFile("https://h/f", None, "f"),),
    gits=(GitSource("https://h/r.git", "main", "sub"),),
    owner="1:2",
    mode="755",
    excludes=("*.md",),
)
RUN = RunOperation(
    ("/bin/sh", "-c", "x"),
    (("A", "b"),),
    "/w",
    "me",
    (
        BindMount("/b", StepSource(1)),
        CacheMount("/c", "id", ImageSource("tools", (layer("t"),)), "/x"),
        TmpfsMount("/t", 5),
        SecretMount("s", "/run/secrets/s", "TOKEN"),
        SshMount("default", "/agent"),
    ),
    script=ScriptFile("EOF", "#!/bin/sh\n"),
    proxies=(("HTTP_PROXY", "http://p"),),
    hosts=(("h", "1.2.3.4"),),
)
OPERATIONS = (COPY, RUN, MakeDirectory("/w", "me"))


def step(operation: Operation | None, **given: Any) -> Step:
    values = {"number": 3, "title": "t", "base": 2, "layers": (), "platform": "linux/amd64", **given}
    return Step(operation=operation, **values)


def keys(one: Step, base: str | None = "base") -> tuple[str, str]:
    inputs = [f"input {number}" for number in range(len(selections(one.operation)))]
    return definition_key(one, base, inputs), content_key(one, base, inputs)


def changed(value: Any) -> Any:
    """Another value of the same type."""
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case str():
            return f"{value}x"
        case None:
            return "given"
        case tuple() if value:
            return (*value[:-1], changed(value[-1]))
        case tuple():
            return ("given",)
    assert is_dataclass(value)
    assert not isinstance(value, type)
    first = next(one.name for one in fields(value) if one.name not in ("source", "layers", "step"))
    return replace(value, **{first: changed(getattr(value, first))})


def every_change(value: Any) -> list[tuple[str, Any]]:
    """`value` with one field changed, however deep."""
    found = []
    for one in fields(value):
        inner = getattr(value, one.name)
        if isinstance(inner, ContextSource | StepSource | ImageSource) or one.name in ("proxies", "source"):
            continue
        found.append((one.name, replace(value, **{one.name: changed(inner)})))
        for number, item in enumerate(inner if isinstance(inner, tuple) else ()):
            for name, other in every_change(item) if is_dataclass(item) else []:
                items = (*inner[:number], other, *inner[number + 1 :])
                found.append((f"{one.name}.{name}", replace(value, **{one.name: items})))
    return found


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: type(one).__name__)
def test_every_field_of_an_operation_is_in_both_keys(operation: Operation) -> None:
    own = keys(step(operation))
    for name, other in every_change(operation):
        different = keys(step(other))
        assert different[0] != own[0], name
        assert different[1] != own[1], name


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: type(one).__name__)
def test_platform_epoch_and_base_are_in_the_keys_and_what_is_for_people_is_not(operation: Operation) -> None:
    own = keys(step(operation))
    assert keys(step(operation, platform="linux/arm64")) != own
    assert keys(step(operation, epoch=0)) != own
    assert keys(step(operation), base="other") != own
    shown = step(operation, number=9, title="other", stage="s", line=4, no_cache=True, base=8)
    assert keys(shown) == own


def test_every_input_is_in_the_keys_and_its_place_too() -> None:
    for make in (definition_key, content_key):
        found = {
            make(step(RUN), "base", inputs) for inputs in (("1", "2"), ("2", "1"), ("12", ""), ("1", "3"))
        }
        assert len(found) == 4


def test_definition_and_content_never_meet() -> None:
    assert definition_key(step(RUN), "base", ["1", "2"]) != content_key(step(RUN), "base", ["1", "2"])


def test_proxies_and_where_files_come_from_are_in_no_key() -> None:
    own = keys(step(RUN))
    assert keys(step(replace(RUN, proxies=()))) == own
    moved = replace(RUN, mounts=(BindMount("/b", ContextSource("other")), *RUN.mounts[1:]))
    assert keys(step(moved)) == own
    assert keys(step(replace(COPY, source=StepSource(7)))) == keys(step(COPY))


def test_a_linked_copy_does_not_depend_on_its_base_unless_that_names_the_owner() -> None:
    for owner, independent in ((None, True), ("1", True), ("1:2", True), ("me", False), ("1:me", False)):
        linked = replace(COPY, link=True, owner=owner)
        assert is_independent(linked) is independent
        assert (keys(step(linked), "one") == keys(step(linked), "other")) is independent
    assert keys(step(COPY), "one") != keys(step(COPY), "other")


def test_a_beginning_is_known_by_its_layers_whatever_the_image_is_called() -> None:
    one, other = step(None, layers=(layer("a"),)), step(None, layers=(layer("b"),))
    assert keys(one, None) != keys(other, None)
    assert keys(one, None) == keys(replace(one, title="FROM other"), None)
    assert layers_key((layer("a"), layer("b"))) != layers_key((layer("b"), layer("a")))


def test_selections_say_which_files_a_step_reads() -> None:
    found = [(one.source, one.paths) for one in selections(COPY)]
    assert found == [
        (ContextSource(), ("a", "b*")),
        (UrlFile("https://h/f", None, "f"), ()),
        (GitSource("https://h/r.git", "main", "sub"), ("sub",)),
    ]
    assert [one.paths for one in selections(RUN)] == [("/",), ("/x",)]
    assert not selections(replace(COPY, paths=(), urls=(), gits=()))


def test_keys_that_are_missing_are_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="2 inputs, 1 keys"):
        definition_key(step(RUN), "base", ["1"])


@given(st.lists(st.text(max_size=3), max_size=4), st.lists(st.text(max_size=3), max_size=4))
def test_words_are_framed_so_that_joined_ones_do_not_collide(one: list[str], other: list[str]) -> None:
    first, second = (keys(step(replace(RUN, arguments=tuple(words)))) for words in (one, other))
    assert (first == second) == (one == other)


def test_a_key_is_the_same_in_every_process() -> None:
    plan = plan_of("FROM scratch\nWORKDIR /w\n")
    assert keys(plan.steps[1])[0] == "4343868c0e9ad783d7f94c4bd08e20be9329fc0964984ad797334e35cf0c4907"


def test_a_secret_is_in_the_key_by_its_name() -> None:
    text = "FROM a\nRUN --mount=type=secret,id={} x\n"
    first, second = (plan_of(text.format(name)).steps[1] for name in ("one", "two"))
    assert keys(first) != keys(second)
