"""Which runtime is taken, and what is said where there is none, or where it failed."""

from pathlib import Path

import pytest

from builder.plan.steps import RunOperation
from builder.run.errors import RunError
from builder.run.prepared import PreparedContainer
from builder.run.request import ContainerRequest
from builder.run.runtime import VARIABLE, Runtime, find_runtime
from builder.run.start_failure import explain_failure, foreign_program, logged_error


def test_runc_comes_first_then_crun() -> None:
    assert find_runtime({}, {"runc": "/r/runc", "crun": "/r/crun"}.get).path == Path("/r/runc")
    assert find_runtime({}, {"crun": "/r/crun"}.get).path == Path("/r/crun")
    assert find_runtime({VARIABLE: "youki"}, {"youki": "/r/youki", "runc": "/r/runc"}.get).path == Path(
        "/r/youki"
    )


def test_where_there_is_none_it_is_said_what_to_install() -> None:
    with pytest.raises(RunError, match="apt-get install runc"):
        find_runtime({}, lambda name: None)
    with pytest.raises(RunError, match=f"{VARIABLE} names the container runtime 'x'"):
        find_runtime({VARIABLE: "x"}, {"runc": "/r/runc"}.get)


def test_the_state_is_the_containers_own() -> None:
    assert Runtime(Path("/r")).command(Path("/s"), "run", "x") == ["/r", "--root", "/s", "run", "x"]


def test_the_runtimes_last_error_is_told_without_its_prefixes(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert logged_error(log) == ""
    log.write_text(
        '{"level":"warning","msg":"w"}\nnoise\n[1]\n'
        '{"level":"error","msg":"runc run failed: unable to start container process: exec: \\"x\\": not found"}\n'
        '{"level":"debug","msg":"d"}\n'
    )
    assert logged_error(log) == 'exec: "x": not found'


def test_scripts_and_missing_programs_are_of_no_architecture(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/script").write_text("#!/bin/sh\n")
    (tmp_path / "bin/arm").write_bytes(b"\x7fELF\x02\x01\x01" + bytes(11) + b"\xb7\x00")
    assert foreign_program(tmp_path, "script", "/bin") is None
    assert foreign_program(tmp_path, "nothing", "/bin") is None
    assert foreign_program(tmp_path, "/bin", "") is None
    assert foreign_program(tmp_path, "arm", "/nowhere:/bin") in ("arm64", None)


def test_a_program_for_another_machine_that_an_emulator_runs_may_fail_by_itself(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/s390x").write_bytes(b"\x7fELF\x02\x02\x01" + bytes(11) + b"\x00\x16")
    operation = RunOperation(("/bin/s390x",), (), "/")
    container = PreparedContainer(ContainerRequest(tmp_path, operation, tmp_path, Runtime(Path("/r"))))
    explain_failure(container, 1, b"make: *** Error 1\n")
    with pytest.raises(RunError, match="linux/s390x: register an emulator"):
        explain_failure(container, 1, b"exec /bin/s390x: Exec format error\n")
