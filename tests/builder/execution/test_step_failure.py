"""What is told of a step that failed."""

from builder.execution.step_failure import SHOWN_LINES, LastLines, StepFailed

STEP = ("[2/2] RUN make", 3)


def test_the_last_lines_of_both_streams_are_kept_however_they_come() -> None:
    for size in (1, 7, 1 << 20):
        last = LastLines()
        text = b"".join(b"line %d\n" % number for number in range(1000)) + b"no end"
        for at in range(0, len(text), size):
            last.feed("stdout", text[at : at + size])
        last.feed("stderr", b"why\n")
        expected = [f"line {number}" for number in range(1000 - SHOWN_LINES + 2, 1000)]
        assert last.end() == [*expected, "why", "no end"]


def test_the_place_is_shown_with_the_lines_around_it() -> None:
    failed = StepFailed(*STEP, "no", ["make: error"])
    shown = failed.report(["FROM a", "", "RUN make", "RUN two"], "Dockerfile")
    assert "Dockerfile:3" in shown
    assert "   3 | >>> RUN make" in shown
    assert " > [2/2] RUN make:\nmake: error\n" in shown


def test_all_lines_of_the_instruction_are_marked() -> None:
    text = ["FROM a", "RUN x \\", "# why", "", "  && y \\", "  && z", "RUN b", "CMD c", "CMD d"]
    shown = StepFailed("RUN x", 2, "no").report(text, "Dockerfile").splitlines()
    marked = [line.partition(" | ")[0].strip() for line in shown if ">>>" in line]
    assert marked == ["2", "3", "4", "5", "6"]
    assert "   8 |     CMD c" in shown
    assert "CMD d" not in "".join(shown)
    assert "   1 | >>> RUN x \\" in StepFailed("RUN", 1, "no").report(["RUN x \\"], "Dockerfile")


def test_a_line_that_the_dockerfile_does_not_have_is_no_crash() -> None:
    """Of an ONBUILD trigger, say."""
    assert StepFailed(*STEP, "no").report(["FROM a"], "Dockerfile") == ""


def test_a_line_without_end_is_not_kept() -> None:
    last = LastLines()
    for _ in range(1000):
        last.feed("stdout", b"x" * 65536)
    assert sum(len(line) for line in last.end()) < 1 << 16
