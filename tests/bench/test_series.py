"""Rows that are kept as they are measured, whatever becomes of the others."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from tests.bench.series import Job, Series, UnusableFile, remaining_seconds


@dataclass(frozen=True)
class Fish:
    name: str
    size: int

    def line(self) -> str:
        return f"{self.name:10} {self.size}"


def job(name: str, measure: Callable[[], Fish] | None = None) -> Job[Fish]:
    return Job(name, 10.0, measure or (lambda: Fish(name, len(name))))


def names(file: Path) -> list[str]:
    return [row["name"] for row in json.loads(file.read_text())]


def failing() -> Fish:
    raise ExceptionGroup("a nursery", [AssertionError("node 3 is not whole")])


def test_a_row_is_in_the_file_before_the_next_is_measured(tmp_path: Path) -> None:
    file = tmp_path / "rows.json"
    seen: list[list[str]] = []

    def look() -> Fish:
        seen.append(names(file))
        return Fish("late", 1)

    assert Series(Fish, file, resume=False).run([job("early"), job("late", look)]) == 0
    assert seen == [["early"]]
    assert names(file) == ["early", "late"]
    assert [path.name for path in tmp_path.iterdir()] == ["rows.json"]


def test_a_row_that_fails_is_told_and_the_others_are_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rows.json"
    assert Series(Fish, file, resume=False).run([job("a"), job("b", failing), job("c")]) == 1
    assert names(file) == ["a", "c"]
    said = capsys.readouterr().out
    assert "b: FAILED: AssertionError: node 3 is not whole" in said
    assert "1 of 3 failed: b" in said


def test_what_was_broken_off_goes_on_with_what_is_left(tmp_path: Path) -> None:
    file = tmp_path / "rows.json"

    def interrupt() -> Fish:
        raise BaseExceptionGroup("a nursery", [KeyboardInterrupt()])

    measured: list[str] = []

    def measure() -> Fish:
        measured.append("again")
        return Fish("b", 2)

    assert Series(Fish, file, resume=False).run([job("a"), job("b", interrupt), job("c")]) == 130
    assert names(file) == ["a"]
    resumed = Series(Fish, file, resume=True)
    assert resumed.rows["a"] == Fish("a", 1)
    assert resumed.run([job("a", failing), job("b", measure), job("c")]) == 0
    assert (names(file), measured) == (["a", "b", "c"], ["again"])


def test_a_choice_of_nothing_is_a_mistake() -> None:
    assert Series(Fish, None, resume=False).run([]) == 2


def test_without_resume_everything_is_measured_again(tmp_path: Path) -> None:
    file = tmp_path / "rows.json"
    Series(Fish, file, resume=False).run([job("a"), job("b")])
    Series(Fish, file, resume=False).run([job("a")])
    assert names(file) == ["a"]


@pytest.mark.parametrize("content", ["no rows", '[{"length": 3}]', "{}x"])
def test_a_file_without_rows_is_not_gone_on_with(content: str, tmp_path: Path) -> None:
    file = tmp_path / "rows.json"
    file.write_text(content)
    with pytest.raises(UnusableFile, match=r"rows\.json"):
        Series(Fish, file, resume=True)
    assert file.read_text() == content


def test_a_file_that_cannot_be_written_is_told_before_anything_is_measured(tmp_path: Path) -> None:
    with pytest.raises(UnusableFile, match="No such file"):
        Series(Fish, tmp_path / "missing" / "rows.json", resume=False)


def test_it_says_how_far_it_is_and_how_much_longer_it_takes(capsys: pytest.CaptureFixture[str]) -> None:
    ticks = count(0, 120)
    Series(Fish, None, resume=False).run([job("a"), job("b"), job("c")], lambda: float(next(ticks)))
    assert capsys.readouterr().err.splitlines() == [
        "[1 of 3, about 30 s left] a",
        "[2 of 3, about 8 min 0 s left] b",
        "[3 of 3, about 3 min 0 s left] c",
    ]


def test_what_is_left_is_estimated_by_the_pace_of_what_is_done() -> None:
    quick, long = Job("quick", 10.0, failing), Job("long", 90.0, failing)
    assert remaining_seconds(0.0, [], [quick, long]) == 100.0
    assert remaining_seconds(20.0, [quick], [long]) == 180.0
