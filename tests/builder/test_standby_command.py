"""What a standby process does before a command comes."""

import os
from pathlib import Path

import pytest

from builder.standby_command import prepare_rehearsal, rehearse
from shoal import main


@pytest.mark.skipif(os.getuid() != 0, reason="mounts layers, by root")
def test_a_rehearsal_builds_once_and_then_knows_everything(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    prepare_rehearsal(tmp_path)
    for _ in range(3):
        with pytest.raises(SystemExit) as end:
            rehearse(main, tmp_path)
        assert end.value.code == 0
    base, first, second = capfd.readouterr().out.splitlines()
    assert base != first == second
