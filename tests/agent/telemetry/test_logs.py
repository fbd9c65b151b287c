"""Logs: one line an event, no secrets."""

import io
import json
import logging
import re
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.content.errors import SourceError
from agent.telemetry.logs import JsonFormatter, LogFormat, TextFormatter, configure_logs, get_log
from tests.agent.content.test_redaction import FORMS, SECRET


@pytest.fixture(autouse=True)
def _restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


def logs(log_format: LogFormat = "text", level: str = "info") -> io.StringIO:
    stream = io.StringIO()
    configure_logs(level, log_format, stream)
    return stream


def test_a_line_has_time_level_name_event_and_fields() -> None:
    stream = logs()
    get_log("shoal.node").info(
        "blob complete", digest="sha256:ab", seconds=1.25, peers=3, resumed=True, tag=None
    )
    line = stream.getvalue()
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO node blob complete "
        r"digest=sha256:ab seconds=1\.25 peers=3 resumed=true tag=none\n",
        line,
    )


def test_json_has_the_same_with_types() -> None:
    stream = logs("json")
    get_log("shoal.node").warning(
        "blob late", seconds=1.25, tag=None, chunks=[1, 2], event="x", bad=float("nan")
    )
    line = json.loads(stream.getvalue())
    del line["time"]
    assert line == {
        "level": "warning",
        "logger": "shoal.node",
        "event": "blob late",
        "seconds": 1.25,
        "tag": None,
        "chunks": [1, 2],
        "event_": "x",
        "bad": "nan",
    }


def test_values_with_spaces_and_quotes_are_quoted() -> None:
    stream = logs()
    get_log("shoal.node").info("x", a="b c", d='e"f', g="", h="i=j", k=["l", "m n"])
    assert stream.getvalue().endswith(' x a="b c" d="e\\"f" g="" h="i=j" k="l,m n"\n')


def test_what_is_below_the_level_is_left_out() -> None:
    stream = logs(level="warning")
    log = get_log("shoal.node")
    log.debug("a")
    log.info("b")
    log.warning("c")
    log.error("d")
    assert [line.split()[-1] for line in stream.getvalue().splitlines()] == ["c", "d"]


def test_configuring_again_replaces_what_was_there() -> None:
    first, second = logs(), logs()
    get_log("shoal.node").info("once")
    assert (first.getvalue(), second.getvalue().count("once")) == ("", 1)


def test_logs_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "text")
    get_log("shoal.node").info("here")
    captured = capsys.readouterr()
    assert ("here" in captured.err, captured.out) == (True, "")


@pytest.mark.parametrize("log_format", ["text", "json"])
@given(
    text=st.text(max_size=60)
    | st.sampled_from(["a\nINFO b", "\x1b[2J", "\r", "\x85", "\u2028", "\u202e", "\x7f"])
)
def test_no_text_breaks_a_line_or_moves_a_terminal(log_format: LogFormat, text: str) -> None:
    stream = logs(log_format)
    get_log("shoal.node").info(text, field=text, error=ValueError(text), many=[text])
    line = stream.getvalue()
    assert line.endswith("\n")
    assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\ud800-\udfff]", line[:-1])
    if log_format == "json":
        json.loads(line)


@pytest.mark.parametrize("log_format", ["text", "json"])
@pytest.mark.parametrize("form", FORMS)
def test_no_secret_comes_out_of_any_place(log_format: LogFormat, form: str) -> None:
    stream = logs(log_format)
    text = form.format(SECRET)
    log = get_log("shoal.origin")
    log.info(text)
    log.info("a", field=text, many=[text], pair=(text, 1), table={"x": text}, raw=text.encode())
    log.error("b", error=SourceError(text))
    log.error("c", error=ExceptionGroup("d", [ValueError(text), OSError(5, text)]))
    logging.getLogger("some.library").warning("said %s", text)
    try:
        raise KeyError(text)
    except KeyError:
        logging.getLogger("some.library").exception("e")
    assert stream.getvalue().count("\n") == 6
    assert SECRET not in stream.getvalue()


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_field_with_a_telling_name_is_hidden_whatever_its_value(log_format: LogFormat) -> None:
    stream = logs(log_format)
    get_log("shoal.origin").info("a", password=SECRET, authorization=[SECRET], refresh_token=SECRET)
    get_log("shoal.origin").info(
        "a", headers={"authorization": SECRET, "cookie": SECRET}, pair=("token", SECRET)
    )
    assert SECRET not in stream.getvalue()


def test_an_unexpected_error_tells_its_type_and_where_it_arose_in_one_line() -> None:
    stream = logs()
    try:
        _ = dict[str, int]()["x"]
    except KeyError as error:
        get_log("shoal.node").error("bug", error=error)
    assert re.search(r'error="KeyError: \'x\' \(at .*test_logs\.py:\d+\)"\n$', stream.getvalue())
    assert "Traceback" not in stream.getvalue()


def test_an_expected_error_is_its_text() -> None:
    stream = logs()
    get_log("shoal.node").error("pull failed", error=SourceError("the registry is gone"))
    assert stream.getvalue().endswith('error="the registry is gone"\n')


def test_a_long_value_is_cut() -> None:
    stream = logs()
    get_log("shoal.node").info("a", field="x" * 1_000_000, many=["y"] * 10_000)
    assert len(stream.getvalue()) < 10_000


def test_a_stream_that_is_gone_ends_nothing_and_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    stream = logs()
    stream.close()
    get_log("shoal.node").info("a", field=SECRET)
    assert capsys.readouterr().err == ""


def test_a_value_that_cannot_be_written_ends_nothing() -> None:
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError(SECRET)

    stream = logs()
    get_log("shoal.node").info("a", field=Broken())
    assert SECRET not in stream.getvalue()


def test_libraries_that_tell_of_every_request_are_quiet() -> None:
    stream = logs()
    logging.getLogger("httpx").info("HTTP Request: GET https://x/?sig=1")
    assert stream.getvalue() == ""


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_records_of_other_libraries_may_have_any_arguments(formatter: logging.Formatter) -> None:
    record = logging.LogRecord("lib", logging.INFO, "f", 1, "%d of %s", (1, "x"), None)
    assert "1 of x" in formatter.format(record)
    assert sys.getrefcount(record)
