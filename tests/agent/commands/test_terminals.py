"""Archives go to files and pipes, never to a terminal; progress to terminals alone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.commands.byte_progress import ByteProgress, progress_line
from tests.agent.commands.local_shell import LocalShell
from tests.agent.images.archives import ArchivedSample, docker_members
from tests.agent.images.test_tar import tar

_ROOT = Path(__file__).parents[3]


def run_on_terminal(data_dir: Path, *arguments: str) -> tuple[int, str]:
    """Standard input and output are a terminal; the exit code, and what standard error got."""
    ours, theirs = os.openpty()
    try:
        done = subprocess.run(
            [sys.executable, str(_ROOT / "shoal.py"), *arguments],
            cwd=_ROOT,
            env={**os.environ, "SHOAL_NODE_DATA_DIR": str(data_dir), "SHOAL_CONFIG": os.devnull},
            stdin=theirs,
            stdout=theirs,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(theirs)
        os.close(ours)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["save", "app:1"], "cowardly refusing to save to a terminal. Use the -o flag or redirect"),
        (["export", "app:1"], "cowardly refusing to export to a terminal"),
        (["load"], "it is a terminal: name a file"),
        (["import", "-"], "it is a terminal: name a file"),
    ],
)
def test_a_terminal_is_refused(tmp_path: Path, arguments: list[str], words: str) -> None:
    LocalShell(tmp_path).run("load", stdin=tar(*docker_members(ArchivedSample(), "app:1")))
    code, said = run_on_terminal(tmp_path, *arguments)
    assert code == 2
    assert words in said


def test_a_pipe_whose_reader_leaves_is_no_traceback(tmp_path: Path) -> None:
    LocalShell(tmp_path).run("load", stdin=tar(*docker_members(ArchivedSample(), "app:1")))
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, str(_ROOT / "shoal.py"), "save", "app:1"],
        env={**os.environ, "SHOAL_NODE_DATA_DIR": str(tmp_path), "SHOAL_CONFIG": os.devnull},
        cwd=_ROOT,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)
    assert "Traceback" not in done.stderr
    assert "bug" not in done.stderr


def test_progress_is_a_bar_where_the_size_is_known() -> None:
    assert progress_line("Saving", 5_000_000, 10_000_000) == (
        "Saving  [===============>              ]  5MB/10MB  50%"
    )
    assert progress_line("Saving", 10, 10).endswith("[==============================]  10B/10B  100%")
    assert progress_line("Loading", 5_000_000, None) == "Loading  5MB"


def test_nothing_is_shown_elsewhere_than_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with ByteProgress("Saving", 10) as progress:
        progress(5)
    assert capsys.readouterr() == ("", "")
