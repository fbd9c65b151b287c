"""What a build shows while it runs."""

import base64
import io
import json
from contextlib import suppress

from rich.console import Console

from builder.progress.events import MAX_OUTPUT_BYTES, Reporter, View
from builder.progress.output_lines import MAX_LINE_BYTES, OutputLines, printable
from builder.progress.plain import PlainView
from builder.progress.raw_json import RawJsonView
from builder.progress.terminal import TerminalView


class Clock:
    def __init__(self) -> None:
        self.at = 1_000_000_000.0

    def __call__(self) -> float:
        self.at += 0.5
        return self.at


def play(view: View) -> None:
    reporter = Reporter(view, Clock())
    base = reporter.start("[1/2] FROM busybox")
    run = reporter.start("[2/2] RUN make", [base])
    reporter.output(run, "stdout", b"hello\nwor")
    reporter.status(base, "extracting: 2MB")
    reporter.output(run, "stdout", b"ld\n")
    reporter.end(base, "cached")
    reporter.output(run, "stderr", b"no newline")
    reporter.end(run, "failed", "exit code: 1")


def test_plain_lines_are_numbered_timed_and_named_again_where_tasks_mix() -> None:
    lines: list[str] = []
    play(PlainView(lines.append))
    assert lines == [
        "#1 [1/2] FROM busybox",
        "",
        "#2 [2/2] RUN make",
        "#2 0.500 hello",
        "",
        "#1 [1/2] FROM busybox",
        "#1 extracting: 2MB",
        "",
        "#2 [2/2] RUN make",
        "#2 1.500 world",
        "",
        "#1 [1/2] FROM busybox",
        "#1 CACHED",
        "",
        "#2 [2/2] RUN make",
        "#2 3.000 no newline",
        "#2 ERROR: exit code: 1",
        "",
    ]


def test_raw_json_tells_of_vertexes_statuses_and_logs_as_buildkit_does() -> None:
    lines: list[str] = []
    play(RawJsonView(lines.append))
    told = [json.loads(line) for line in lines]
    base, started, failed = (told[number]["vertexes"][0] for number in (0, 1, -1))
    assert "inputs" not in base
    assert started["inputs"] == failed["inputs"] == [base["digest"]]
    assert started["name"] == "[2/2] RUN make"
    assert started["digest"] == failed["digest"]
    assert failed["error"] == "exit code: 1"
    assert failed["started"] < failed["completed"]
    cached = [one for line in told for one in line.get("vertexes", []) if one.get("cached")]
    assert [one["name"] for one in cached] == ["[1/2] FROM busybox"]
    logs = [log for line in told for log in line.get("logs", [])]
    assert b"".join(base64.b64decode(log["data"]) for log in logs if log["stream"] == 1) == b"hello\nworld\n"
    assert {log["vertex"] for log in logs} == {started["digest"]}


def test_a_terminal_shows_counts_marks_and_times() -> None:
    out = io.StringIO()
    view = TerminalView(Console(file=out, force_terminal=True, width=60, height=20))
    with view:
        play(view)
    last = out.getvalue().split("[+] Building")[-1]
    assert "(2/2) FINISHED" in last
    assert "=> CACHED [1/2] FROM busybox" in last
    assert "=> ERROR [2/2] RUN make" in last


def test_what_a_command_prints_cannot_drive_the_terminal() -> None:
    assert printable(b"\x1b[2Jgone\x07") == "[2Jgone"
    assert printable("größe\xa0\u202e".encode()) == "größe"
    assert printable(b"\xff\xfe") == "\ufffd\ufffd"


def test_of_a_progress_bar_the_last_state_is_shown() -> None:
    assert list(OutputLines().feed(b" 10%\r 50%\r100%\r\n")) == ["100%"]


def test_a_line_without_end_comes_in_pieces_and_takes_no_memory() -> None:
    lines = OutputLines()
    pieces = [piece for _ in range(10) for piece in lines.feed(b"x" * 1000)]
    assert [len(piece) for piece in pieces] == [MAX_LINE_BYTES] * 2
    assert [len(piece) for piece in lines.end()] == [10_000 - 2 * MAX_LINE_BYTES]


def test_a_step_that_prints_without_end_is_clipped() -> None:
    lines: list[str] = []
    reporter = Reporter(PlainView(lines.append))
    task = reporter.start("[2/2] RUN yes")
    for _ in range(100):
        reporter.output(task, "stdout", b"y\n" * 32_768)
    assert sum(len(line.partition(" ")[2].partition(" ")[2]) + 1 for line in lines) < MAX_OUTPUT_BYTES + 1000
    assert lines[-1].endswith("[output clipped, log limit 2MiB reached]")


def test_a_task_ends_as_its_body_does() -> None:
    lines: list[str] = []
    reporter = Reporter(PlainView(lines.append))
    for error in (None, ValueError("why\nmore"), KeyboardInterrupt()):
        with suppress(ValueError, KeyboardInterrupt), reporter.running("task"):
            if error is not None:
                raise error
    ends = [line for line in lines if line and not line.endswith("task")]
    assert [one.partition(" ")[2] for one in ends] == ["DONE 0.0s", "ERROR: why", "CANCELED"]
