"""What holds for every test: where a real component is missing its tests skip and say so; in CI that is a failure.

The components themselves and what asks for them are in clients/ and cluster/.
"""

import logging
import os
from collections.abc import Generator, Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.clients.components import missing_components
from tests.time_limit import pytest_pyfunc_call, pytest_timeout_set_timer

__all__ = ["pytest_pyfunc_call", "pytest_timeout_set_timer"]  # hooks, which pytest finds here

REAL_TIMEOUT_SECONDS = 300

# The same examples in every run, however slow the machine; `--hypothesis-profile=search` looks for new ones.
settings.register_profile(
    "shoal", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "search", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=1000
)
settings.load_profile("shoal")


@pytest.fixture(autouse=True)
def _log_level() -> Iterator[None]:
    """A command sets the level of the whole process; the next test's is its own."""
    level = logging.getLogger().level
    yield
    logging.getLogger().setLevel(level)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Real engines take their time."""
    for item in items:
        if item.get_closest_marker("real") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(REAL_TIMEOUT_SECONDS))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """`@pytest.mark.real("docker", "registry")` names what a test needs; without names it needs everything."""
    for marker in item.iter_markers("real"):
        if missing := missing_components(marker.args):
            pytest.skip(f"real component missing: {', '.join(missing)}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turns a skip of a `real` test into a failure in CI, where nothing may hide."""
    report = yield
    in_ci = os.environ.get("CI") == "true"
    if in_ci and report.skipped and item.get_closest_marker("real") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI, where real components must be there: {report.longrepr!s}"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = [r for r in terminalreporter.stats.get("skipped", []) if "real component" in str(r.longrepr)]
    if skipped:
        terminalreporter.write_line(
            f"{len(skipped)} tests with real components were skipped; as root on Debian, install them all with: "
            "make real-components",
            yellow=True,
        )
