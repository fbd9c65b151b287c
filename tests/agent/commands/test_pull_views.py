"""What a pull looks like, on a terminal and in a log."""

import json

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from agent.commands.progress_json import progress_of
from agent.commands.pull_lines import PullLines
from agent.commands.pull_live import LivePull
from agent.commands.pull_report import BytesBySource, ending_lines, report_json
from agent.commands.pull_table import SourceBar, Window, pull_table
from agent.node.admin import progress_line
from agent.node.pull_progress import PullProgress
from tests.agent.commands.progress import layer, progress


def _drawn(shown: PullProgress, columns: int = 90, rows: int = 24) -> list[str]:
    console = Console(width=columns, height=rows, force_terminal=True, color_system=None)
    with console.capture() as capture:
        console.print(pull_table(shown, 500.0, Window(columns, rows)))
    return capture.get().splitlines()


def test_every_blob_has_a_bar_and_the_sources_are_told_apart_without_colour() -> None:
    lines = _drawn(
        progress(
            layer(1, "downloading", 1000, 800, registry=300, peers=400),
            layer(2, "here", 500, 500),
            layer(3, "waiting", 700),
        )
    )
    assert "800B / 1kB" in lines[0]
    assert lines[0].count("═") > lines[0].count("━") > lines[0].count("─") > 0
    assert "already here" in lines[1]
    assert "┈" in lines[2]
    assert "waiting" in lines[2]
    assert lines[-2].startswith("1 of 3")
    assert "500B/s  1.8 s left" in lines[-2]
    assert "already here 600B" in lines[-1]
    assert "peers 400B" in lines[-1]
    assert "registry 300B" in lines[-1]


def test_an_image_of_many_layers_fits_the_screen_and_shows_those_on_their_way() -> None:
    layers = [layer(n, "done", 100, 100, registry=100) for n in range(30)]
    layers += [layer(n, "downloading", 100, 10, registry=10) for n in range(30, 34)]
    layers += [layer(n, "waiting", 100) for n in range(34, 60)]
    lines = _drawn(progress(*layers), rows=16)
    assert len(lines) < 16
    assert sum("downloading" in line for line in lines) == 4
    assert any("+ 50 more" in line for line in lines)


def test_no_line_is_wider_than_a_narrow_terminal() -> None:
    lines = _drawn(progress(layer(1, "downloading", 10**9, 123_456_789, registry=123_456_789)), columns=48)
    assert max(map(len, lines)) <= 48


def test_before_the_layers_are_known_the_image_is_named() -> None:
    assert _drawn(progress()) == ["Resolving docker.io/library/alpine:latest ..."]


@given(
    st.integers(0, 10**9),
    st.integers(0, 10**9),
    st.integers(0, 10**9),
    st.integers(0, 100),
    st.integers(8, 48),
)
def test_the_strokes_of_a_bar_always_fill_it(
    size: int, registry: int, peers: int, done_percent: int, width: int
) -> None:
    one = layer(1, "downloading", size, size * done_percent // 100, registry=registry, peers=peers)
    columns = SourceBar(size, BytesBySource.of(one)).columns(width)
    assert sum(count for _, count in columns) == width
    assert all(count >= 0 for _, count in columns)


def test_a_live_view_leaves_the_last_picture_on_the_screen() -> None:
    console = Console(width=90, height=20, force_terminal=True, color_system=None)
    clock = [0.0]
    with console.capture() as capture, LivePull(console, progress(), lambda: clock[0]) as view:
        for done in (0, 500, 1000):
            view.show(progress(layer(1, "downloading", 1000, done, peers=done)))
            clock[0] += 1.0
        view.show(progress(layer(1, "done", 1000, 1000, peers=1000)))
    text = capture.get()
    assert "500B/s" in text
    assert any("done" in line for line in text.splitlines()[-5:])


def test_a_log_has_one_line_for_every_change_and_none_for_progress() -> None:
    lines: list[str] = []
    view = PullLines(lines.append)
    one = layer(1, "waiting", 1000)
    for state, done in (("waiting", 0), ("downloading", 10), ("downloading", 500), ("done", 1000)):
        one.state, one.done_bytes, one.registry_bytes = state, done, done
        view.show(progress(one, layer(2, "here", 20, 20)))
    name, other = one.digest.short, layer(2, "here").digest.short
    assert lines == [
        f"{other}: Already exists, 20B",
        f"{name}: Pulling 1kB",
        f"{name}: Pull complete, 1kB from the registry",
    ]


def test_the_end_is_told_as_docker_tells_it() -> None:
    new = progress(layer(1, "done", 3000, 3000, registry=1000, peers=2000))
    lines = ending_lines(new, 2.0)
    assert lines[0] == "3kB in 1 blob, 2.0 s: 1kB from the registry, 2kB from peers"
    assert lines[1] == f"Digest: {new.digest}"
    assert lines[2] == "Status: Downloaded newer image for docker.io/library/alpine:latest"
    known = ending_lines(progress(layer(1, "here", 5, 5), was_here=True, stale=True), 0.1)
    assert any(line.startswith("Warning: the registry could not be asked") for line in known)
    assert "Status: Image is up to date for docker.io/library/alpine:latest" in known


def test_bytes_that_came_twice_are_counted_once() -> None:
    told = report_json(progress(layer(1, "done", 100, 100, registry=80, peers=80)), 1.0, agent=True)
    assert (told["bytes"], told["registry_bytes"], told["peer_bytes"], told["here_bytes"]) == (100, 80, 20, 0)


def test_progress_comes_out_of_the_agents_lines_as_it_went_in() -> None:
    shown = progress(
        layer(1, "downloading", 1000, 700, registry=300, peers=400), layer(2, "here", 5, 5), stale=True
    )
    assert progress_of(json.loads(json.dumps(progress_line(shown)))) == shown
