"""Reading the file."""

from pathlib import Path

import pytest

from agent.settings.loader import load_settings
from agent.settings.mistake import SettingsError


def test_the_default_file_is_read_where_it_exists(tmp_path: Path) -> None:
    file = tmp_path / "shoal.toml"
    assert load_settings(None, {"HOME": "/h"}, {}, default_file=file).node.zone == ""
    file.write_text('[node]\nzone = "a"')
    found = load_settings(None, {"HOME": "/h"}, {}, default_file=file)
    assert (found.node.zone, found.sources["node.zone"]) == ("a", f"{file}: node.zone")


def test_a_file_may_be_named_by_flag_or_environment(tmp_path: Path) -> None:
    one, two, neither = tmp_path / "one.toml", tmp_path / "two.toml", tmp_path / "neither.toml"
    one.write_text('[node]\nzone = "one"')
    two.write_text('[node]\nzone = "two"')
    assert load_settings(None, {"SHOAL_CONFIG": str(one)}, {}, default_file=neither).node.zone == "one"
    assert load_settings(two, {"SHOAL_CONFIG": str(one)}, {}, default_file=neither).node.zone == "two"


@pytest.mark.parametrize("by_flag", [True, False])
def test_a_named_file_that_is_missing_is_a_mistake_beside_the_others(tmp_path: Path, by_flag: bool) -> None:
    missing = tmp_path / "missing.toml"
    with pytest.raises(SettingsError) as caught:
        load_settings(missing if by_flag else None, {"SHOAL_CONFIG": str(missing)}, {"log.level": "loud"})
    first, second = caught.value.mistakes
    assert first.source == ("flag --config" if by_flag else "environment SHOAL_CONFIG")
    assert str(missing) in first.problem
    assert second.key == "log.level"


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"[node\n", "not TOML"), (b"x = '\xff'", "not UTF-8"), (b"#" * 1_100_000, "larger than")],
)
def test_an_unusable_file_is_a_mistake_beside_the_others(
    tmp_path: Path, content: bytes, problem: str
) -> None:
    file = tmp_path / "shoal.toml"
    file.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        load_settings(file, {"SHOAL_LOG_LEVEL": "loud"}, {})
    first, second = caught.value.mistakes
    assert (first.source, problem in first.problem, second.key) == (str(file), True, "log.level")


def test_a_directory_in_place_of_the_file_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(tmp_path, {}, {})
