"""The `shoal` command as a whole: its help, and real processes of it."""

import os
import signal
import subprocess
import sys
from functools import partial
from importlib.metadata import version
from pathlib import Path

import click
import pytest
import trio
from click.testing import CliRunner

from agent.commands.lazy_group import LazyGroup
from agent.version import VERSION
from shoal import main
from tests.fakes.upstream import FakeUpstream, Fault, open_upstream

_ROOT = Path(__file__).parent.parent
_LIMIT_SECONDS = 30


def _command(name: str) -> click.Command:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    return command


_NAMES = main.list_commands(click.Context(main))


def test_the_version_is_that_of_the_distribution() -> None:
    assert version("shoal") == VERSION


@pytest.mark.parametrize("name", _NAMES)
def test_every_help_has_an_example_and_fits_the_page(name: str) -> None:
    text = CliRunner().invoke(main, [name, "--help"]).output
    assert f"  shoal {name}" in text
    assert "Exit codes: 0" in text
    assert max(map(len, text.splitlines())) <= 120


def test_the_list_of_commands_says_what_each_of_them_says_of_itself() -> None:
    assert isinstance(main, LazyGroup)
    for name, lazy in main.lazy.items():
        assert _command(name).get_short_help_str(200) == lazy.summary


def test_settings_are_listed_by_section() -> None:
    text = CliRunner().invoke(main, ["up", "--help"]).output
    assert (
        text.index("\nOptions:") < text.index("\nNode:") < text.index("\nProxy:") < text.index("\nUpstreams:")
    )


def test_listing_commands_loads_no_node() -> None:
    code = (
        "import sys, click, shoal; shoal.main(['--help'], standalone_mode=False);"
        "sys.exit(' '.join(m for m in ('httpx', 'cryptography', 'rich', 'sqlite3') if m in sys.modules) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=_ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_lines_for_container_engines_can_be_printed_without_a_node() -> None:
    done = CliRunner().invoke(main, ["up", "--print-configuration", "--proxy-listen", "127.0.0.1:6000"])
    assert done.exit_code == 0
    assert '"registry-mirrors": ["http://127.0.0.1:6000"]' in done.output


@pytest.mark.parametrize("place", ["shoal.py", "shoal_launch.py"])
def test_output_that_the_disk_has_no_room_for_is_told_of_in_a_line(place: str) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, _ROOT / place, "config", "--config", os.devnull],
            env=os.environ | {"SHOAL_STANDBY_SOCKET": "none"},
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert (done.returncode, done.stderr) == (6, b"shoal: cannot write: No space left on device\n")


# --- real processes ----------------------------------------------------------------------------------------------


def _environment(data_dir: Path, upstream: FakeUpstream) -> dict[str, str]:
    return {name: text for name, text in os.environ.items() if not name.startswith("SHOAL_")} | {
        "SHOAL_NODE_DATA_DIR": str(data_dir),
        "SHOAL_UPSTREAMS": f"docker.io={upstream.url}",
        "SHOAL_PROXY_LISTEN": "127.0.0.1:0",
        "SHOAL_PEER_LISTEN": "127.0.0.1:0",
        "SHOAL_TRACKER_LISTEN": "127.0.0.1:0",
        "SHOAL_STORE_FLOOR_FREE": "0",
        "SHOAL_CONFIG": os.devnull,
        "SHOAL_STANDBY_SOCKET": "none",
        "PYTHONUNBUFFERED": "1",
    }


def _shoal(*arguments: str) -> list[str]:
    return [sys.executable, str(_ROOT / "shoal.py"), *arguments]


async def _read_until(process: trio.Process, word: bytes) -> bytes:
    assert process.stdout is not None
    text = b""
    while word not in text:
        piece = await process.stdout.receive_some()
        assert piece, f"ended after {text!r}"
        text += piece
    return text


async def _finished(arguments: list[str], environment: dict[str, str]) -> tuple[int, str]:
    done = await trio.run_process(
        arguments, env=environment, capture_stdout=True, capture_stderr=True, check=False
    )
    return done.returncode, (done.stdout + done.stderr).decode()


@pytest.mark.slow
async def test_up_serves_until_it_is_told_to_stop_and_a_second_one_says_who_is_in_its_way(
    tmp_path: Path,
) -> None:
    with trio.fail_after(_LIMIT_SECONDS):
        async with open_upstream() as upstream, trio.open_nursery() as nursery:
            upstream.add_image("library/app", layers=[os.urandom(50_000)])
            environment = _environment(tmp_path, upstream)
            process = await nursery.start(
                partial(trio.run_process, _shoal("up"), env=environment, stdout=subprocess.PIPE)
            )
            told = (await _read_until(process, b"shoal status")).decode()
            url = told.split("registry-mirrors", 1)[1].split('"')[2]
            code, text = await _finished(_shoal("pull", "app"), environment)
            assert (code, text.splitlines()[-1]) == (0, "docker.io/library/app:latest")
            taken = {**environment, "SHOAL_PROXY_LISTEN": url.removeprefix("http://")}
            code, text = await _finished(_shoal("up"), taken | {"SHOAL_NODE_DATA_DIR": f"{tmp_path}/second"})
            assert code == 6
            assert f"Address already in use (process {process.pid}, shoal.py up)" in text
            assert "Traceback" not in text
            code, text = await _finished(_shoal("up"), environment)
            assert (code, f"another daemon listens on unix:{tmp_path}/shoal.sock" in text) == (6, True)
            process.send_signal(signal.SIGTERM)
    assert process.returncode == 0
    assert not (tmp_path / "shoal.sock").exists()


async def test_ctrl_c_ends_a_pull_without_a_traceback(tmp_path: Path) -> None:
    with trio.fail_after(_LIMIT_SECONDS):
        async with open_upstream() as upstream:
            upstream.add_image("library/app", layers=[os.urandom(50_000)])
            upstream.faults.add(Fault(stall_after_bytes=1000), match="/blobs/")
            asked = trio.Event()
            upstream.on_request = lambda record: asked.set() if "/blobs/" in record.path else None
            async with trio.open_nursery() as nursery:
                environment = _environment(tmp_path, upstream)
                process: trio.Process = await nursery.start(
                    partial(
                        trio.run_process,
                        _shoal("pull", "app"),
                        env=environment,
                        stdout=subprocess.DEVNULL,
                        stderr=subprocess.PIPE,
                        check=False,
                    )
                )
                await asked.wait()
                process.send_signal(signal.SIGINT)
                assert process.stderr is not None
                text = await process.stderr.receive_some()
    assert text == b"shoal: interrupted\n"
    assert process.returncode == 130


def test_ctrl_c_while_a_command_is_loaded_is_told_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_self: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("agent.commands.lazy_group.LazyCommand.load", interrupted)
    done = CliRunner().invoke(main, ["images"])
    assert (done.exit_code, done.output) == (130, "shoal: interrupted\n")


def test_the_script_can_be_executed_once_it_is_installed() -> None:
    """pip gives it the mode that it has here, and puts its own Python into the first line."""
    script = _ROOT / "shoal_launch.py"
    assert os.access(script, os.X_OK)
    assert script.read_text().startswith("#!python\n")
