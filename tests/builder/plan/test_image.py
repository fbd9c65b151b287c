from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.dockerfile.failure import DockerfileError
from builder.dockerfile.parser import parse_dockerfile
from builder.plan import go_text
from builder.plan.options import ImageRequest
from builder.plan.plan import Plan
from builder.plan.planner import make_plan
from builder.plan.steps import MakeDirectory
from tests.builder.plan.planning import AMD64, base_image, document, history, layer, options, plan_of, titles


def config(text: str, runtime: Mapping[str, object] | None = None, **given: object) -> dict[str, object]:
    return dict(document(plan_of(text, {"a": runtime or {}}, **given))["config"])


def test_an_entry_point_clears_the_command_of_the_base_but_not_that_of_the_stage() -> None:
    base = {"Cmd": ["sh"]}
    assert "Cmd" not in config('FROM a\nENTRYPOINT ["e"]\n', base)
    assert config('FROM a\nCMD ["c"]\nENTRYPOINT ["e"]\n', base)["Cmd"] == ["c"]
    assert "Cmd" not in config('FROM a AS b\nCMD ["c"]\nFROM b\nENTRYPOINT ["e"]\n')


def test_shell_forms_take_the_shell_of_their_moment() -> None:
    found = config('FROM a\nCMD one\nSHELL ["/bin/bash", "-ec"]\nENTRYPOINT two\n')
    assert found["Cmd"] == ["/bin/sh", "-c", "one"]
    assert found["Entrypoint"] == ["/bin/bash", "-ec", "two"]
    assert config("FROM a\nCMD x\n", {"Shell": ["/s"]})["Cmd"] == ["/s", "x"]


def test_empty_commands_are_not_written() -> None:
    assert not {"Cmd", "Entrypoint"} & config("FROM a\nCMD []\nENTRYPOINT []\n", {"Cmd": ["x"]}).keys()


@pytest.mark.parametrize(
    ("path", "expected"),
    [("x", "/w/x"), ("/x/", "/x/"), ("../y", "/y"), ("../../..", "/"), ("a//b/./c", "/w/a/b/c"), ("/", "/")],
)
def test_a_directory_is_relative_to_the_one_before_it(path: str, expected: str) -> None:
    plan = plan_of(f"FROM a\nUSER me\nWORKDIR {path}\n", {"a": {"WorkingDir": "/w"}})
    assert document(plan)["config"]["WorkingDir"] == expected
    assert history(plan)[-1] == f"WORKDIR {expected}"
    made = plan.steps[-1].operation
    assert made == (MakeDirectory(expected.rstrip("/"), "me") if expected != "/" else None)


def test_the_health_check_is_told_as_go_prints_it() -> None:
    plan = plan_of("FROM a\nHEALTHCHECK --interval=1m30s --timeout=500ms --retries=3 CMD curl x || exit 1\n")
    durations = "Interval:1m30s Timeout:500ms StartPeriod:0s StartInterval:0s"
    assert history(plan) == [f"HEALTHCHECK {{Test:[CMD-SHELL curl x || exit 1] {durations} Retries:3}}"]
    assert document(plan)["config"]["Healthcheck"] == {
        "Test": ["CMD-SHELL", "curl x || exit 1"],
        "Interval": 90_000_000_000,
        "Timeout": 500_000_000,
        "Retries": 3,
    }
    assert config("FROM a\nHEALTHCHECK NONE\n")["Healthcheck"] == {"Test": ["NONE"]}


def test_ports_volumes_and_labels_are_added_to_those_of_the_base() -> None:
    base = {"ExposedPorts": {"1/tcp": {}}, "Volumes": {"/a": {}}, "Labels": {"x": "1", "y": "1"}}
    found = config("FROM a\nEXPOSE 80-81 53/UDP\nVOLUME /b\nLABEL y=2\n", base, labels={"z": "3", "x": "3"})
    assert found["ExposedPorts"] == {"1/tcp": {}, "80/tcp": {}, "81/tcp": {}, "53/udp": {}}
    assert found["Volumes"] == {"/a": {}, "/b": {}}
    assert found["Labels"] == {"x": "3", "y": "2", "z": "3"}


@pytest.mark.parametrize(
    "text", ["EXPOSE 70000", "EXPOSE 9-8", "EXPOSE 80/ipx", 'VOLUME [""]', "STOPSIGNAL SIGNOPE"]
)
def test_values_that_no_runtime_could_use_are_told_at_their_line(text: str) -> None:
    with pytest.raises(DockerfileError, match=r"Dockerfile:2:"):
        plan_of(f"FROM a\n{text}\n")


@pytest.mark.parametrize("signal", ["9", "SIGTERM", "term", "RTMIN+3", "SIGRTMAX-1"])
def test_a_signal_is_kept_as_it_is_written(signal: str) -> None:
    assert config(f"FROM a\nSTOPSIGNAL {signal}\n")["StopSignal"] == signal


def test_what_docker_alone_put_into_a_base_image_is_left_behind() -> None:
    plan = plan_of(
        "FROM a\nMAINTAINER me\n", {"a": {"Hostname": "h", "Image": "i", "User": "u", "Tty": False}}
    )
    found = document(plan)
    assert found["config"].keys() == {"User", "Env"}
    assert found["author"] == "me"
    assert found.keys() == {"architecture", "os", "author", "config", "created", "history", "rootfs"}


# -- history


def test_an_instruction_whose_layer_is_empty_counts_as_one_that_made_none() -> None:
    plan = plan_of("FROM a\nENV A=b\nRUN x\nRUN y\n")
    first, second = plan.image.steps
    found = plan.image.config({first: None, second: layer("y", "2021-01-01T00:00:00Z")})
    assert [one.get("empty_layer", False) for one in found["history"]] == [False, True, True, False]
    assert found["rootfs"]["diff_ids"] == [str(layer("a").diff_id), str(layer("y").diff_id)]
    assert plan.image.layers({first: None, second: layer("y")}) == (layer("a"), layer("y"))


def test_what_has_no_time_takes_that_of_the_layer_before_it_or_of_the_first_new_one() -> None:
    plan = plan_of("FROM a\nENV A=b\nRUN x\nENV C=d\nRUN y\nENV E=f\n")
    first, second = plan.image.steps
    times = {first: "2021-01-01T00:00:00Z", second: "2022-01-01T00:00:00Z"}
    found = plan.image.config({step: layer(str(step), time) for step, time in times.items()})
    years = [one["created"][:4] for one in found["history"]]
    assert years == ["2020", "2021", "2021", "2021", "2022", "2022"]
    assert found["created"] == "2022-01-01T00:00:00Z"


def test_an_image_without_a_new_layer_has_the_time_of_its_base() -> None:
    found = document(plan_of("FROM a\nENV A=b\n"))
    assert [one["created"] for one in found["history"]] == ["2020-01-01T00:00:00Z"] * 2
    assert found["created"] == "2020-01-01T00:00:00Z"


def test_an_image_of_nothing_has_no_time() -> None:
    found = plan_of("FROM scratch\nENV A=b\n").image.config({})
    assert "created" not in found
    assert found["rootfs"]["diff_ids"] == []


def test_an_epoch_is_no_times_beginning_but_their_end() -> None:
    found = document(plan_of("FROM a\nRUN x\n", epoch=1_600_000_000))
    assert [one["created"] for one in found["history"]] == ["2020-01-01T00:00:00Z", "2020-09-13T12:26:40Z"]
    assert found["created"] == "2020-09-13T12:26:40Z"


@pytest.mark.parametrize("told", [0, 3])
def test_a_base_whose_history_tells_of_other_layers_than_it_has_is_mended(told: int) -> None:
    request = ImageRequest("a", AMD64)
    base = base_image(request, {}, [{"created_by": f"{n}"} for n in range(told)] or [{"empty_layer": True}])
    plan = make_plan(parse_dockerfile(b"FROM a\nRUN x\n"), options(), {request: base})
    assert isinstance(plan, Plan)
    found = document(plan)
    assert (
        sum(not one.get("empty_layer") for one in found["history"]) == len(found["rootfs"]["diff_ids"]) == 2
    )
    assert titles(plan) == ["[1/2] FROM a", "[2/2] RUN x"]


# -- Go's texts


@pytest.mark.parametrize(
    ("nanoseconds", "expected"),
    [
        (0, "0s"), (1, "1ns"), (1500, "1.5µs"), (2_000_000, "2ms"), (1_500_000_000, "1.5s"), (60_000_000_000, "1m0s"),
        (3_600_000_000_000, "1h0m0s"), (3_661_000_000_001, "1h1m1.000000001s"), (90_000_000_000, "1m30s"),
    ],
)  # fmt: skip
def test_durations_are_those_of_go(nanoseconds: int, expected: str) -> None:
    assert go_text.duration(nanoseconds) == expected


def test_quoted_texts_are_those_of_go() -> None:
    assert (
        go_text.quoted_list(["a b", 'say "hi"\n', "é\t\x00\u200b"])
        == r'["a b" "say \"hi\"\n" "é\t\x00\u200b"]'
    )


@given(st.lists(st.text()))
def test_quoted_lists_of_different_words_are_different(words: list[str]) -> None:
    shown = go_text.quoted_list(words)
    assert shown.isprintable()
    assert shown != go_text.quoted_list([*words, ""])
