"""The command is there and says what it is."""

import trio
from click.testing import CliRunner

from shoal import main


def test_the_command_names_itself_and_its_version() -> None:
    result = CliRunner().invoke(main, ["--version"])
    assert result.exit_code == 0
    assert result.output.startswith("shoal, version 0.")


async def test_tests_run_on_trio_with_a_clock_that_jumps(autojump_clock: trio.abc.Clock) -> None:
    before = trio.current_time()
    await trio.sleep(3600)
    assert trio.current_time() - before >= 3600
