"""Tests with real components: outside CI they skip where a component is missing; in CI that fails the run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clients.components import missing_components

PROGRAM = """
import pytest

@pytest.mark.real("docker")
def test_something():
    pytest.skip("real component missing: docker")
"""


def run_pytest(directory: Path, ci: str) -> subprocess.CompletedProcess[str]:
    (directory / "test_it.py").write_text(PROGRAM)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "tests.conftest",
        "-q",
        "--rootdir",
        directory,
        directory,
    ]
    options = ["-c", os.devnull, "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestUnknownMarkWarning"]
    environment = {**os.environ, "CI": ci, "PYTHONPATH": str(Path.cwd())}
    return subprocess.run([*command, *options], capture_output=True, text=True, env=environment, check=False)


def test_a_skip_is_a_failure_in_ci(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, ci="true")
    assert done.returncode == 1
    assert "skipped in CI" in done.stdout


def test_a_skip_elsewhere_names_the_command_that_installs(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, ci="")
    assert done.returncode == 0
    assert "make real-components" in done.stdout


def test_asking_for_an_unknown_component_is_a_mistake() -> None:
    with pytest.raises(KeyError, match="dokcer"):
        missing_components(["dokcer"])
