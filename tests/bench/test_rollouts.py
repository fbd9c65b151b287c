"""Which simulated rollouts a table has."""

import pytest

from tests.bench.rollouts import main


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--only", "nonsense"], "no run has a name like that"),
        (["--only", "bound 10000x"], "--most-nodes 10000 lets it run"),
    ],
)
def test_a_choice_of_which_nothing_runs_is_a_mistake(
    flags: list[str], words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["rollouts", *flags])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert words in capsys.readouterr().err
