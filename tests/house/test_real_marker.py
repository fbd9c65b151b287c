"""Tests with real components: outside CI they skip where a component is missing; in CI that fails the run."""

import pytest

import tests.conftest
from tests.clients.components import missing_components

PROGRAM = """
import pytest

@pytest.mark.real("docker")
def test_something():
    pytest.skip("real component missing: docker")
"""


def run_pytest(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, *, ci: bool) -> pytest.RunResult:
    """A run of PROGRAM under this project's conftest."""
    monkeypatch.setenv("CI", "true" if ci else "")
    pytester.makepyfile(PROGRAM)
    pytester.makeini("[pytest]\nmarkers = real(*components)")
    return pytester.runpytest_inprocess(plugins=[tests.conftest])


def test_a_skip_is_a_failure_in_ci(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run_pytest(pytester, monkeypatch, ci=True)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines("*skipped in CI, where real components must be there*")


def test_a_skip_elsewhere_names_the_command_that_installs(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = run_pytest(pytester, monkeypatch, ci=False)
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines("*make real-components*")


def test_asking_for_an_unknown_component_is_a_mistake() -> None:
    with pytest.raises(KeyError, match="dokcer"):
        missing_components(["dokcer"])
