"""What follows from the table: the page, the default file, flags and the printed settings."""

import json
import re
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from agent.settings import reference
from agent.settings.fields import FIELD_OF, FIELDS, rows
from agent.settings.flags import given_flags, settings_flags
from agent.settings.parser import parse_settings
from agent.settings.report import lines_of, render_json, render_text
from tests.agent.settings.test_parser import MACHINE, settings

PAGE = Path(__file__).parents[3] / "docs" / "configuration.md"


def test_the_page_is_current(capsys: pytest.CaptureFixture[str]) -> None:
    assert reference.main(["--check", str(PAGE)]) == 0, capsys.readouterr().err


def test_a_page_that_is_not_current_is_told_how_to_become_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    assert reference.main(["--check", str(page)]) == 1
    assert reference.main(["--write", str(page)]) == 0
    assert reference.main(["--check", str(page)]) == 0
    assert "--write" in capsys.readouterr().err


def test_the_page_names_every_key_variable_and_flag() -> None:
    page = reference.render_page()
    for row in rows():
        assert row.environment in page
        assert row.flag in page


def test_the_default_file_changes_nothing_as_it_stands() -> None:
    document = tomllib.loads(reference.render_file())
    assert parse_settings(document, {}, {}, MACHINE) == settings()


def test_the_default_file_is_right_with_every_key_uncommented() -> None:
    document = tomllib.loads(re.sub(r"^#(?! )", "", reference.render_file(), flags=re.MULTILINE))
    found = parse_settings(document, {}, {}, MACHINE)
    given = {key for key, source in found.sources.items() if source != "default"}
    assert given == {row.path for row in rows()}


def command(*sections: str) -> click.Command:
    @click.command()
    @settings_flags(*sections)
    def show(**parameters: object) -> None:
        click.echo(json.dumps(given_flags(parameters)))

    return show


def test_a_command_has_the_flags_of_its_sections_with_help() -> None:
    text = CliRunner().invoke(command("proxy", "upstreams"), ["--help"]).output
    text = " ".join(text.split())
    assert "--proxy-listen ADDRESS" in text
    assert "--upstreams LIST" in text
    assert "--peer-listen" not in text
    assert "default: 127.0.0.1:5050" in text


def test_flags_reach_the_settings_by_their_keys() -> None:
    arguments = ["--proxy-listen", "unix:/x", "--security-insecure-cluster", "--upstreams", "quay.io"]
    output = CliRunner().invoke(command(), arguments).output
    assert json.loads(output) == {
        "proxy.listen": "unix:/x",
        "security.insecure_cluster": "true",
        "upstreams": "quay.io",
    }
    off = CliRunner().invoke(command("security"), ["--no-security-insecure-cluster"]).output
    assert json.loads(off) == {"security.insecure_cluster": "false"}
    assert json.loads(CliRunner().invoke(command(), []).output) == {}


def test_the_settings_are_printed_with_their_sources() -> None:
    text = render_text(
        settings("", {"SHOAL_STORE_QUOTA": "10GB"}, {"upstreams": "quay.io=http://127.0.0.1:1"})
    )
    lines = {line.split(" = ")[0].strip(): line.split(" = ", 1)[1] for line in text.splitlines()}
    assert lines["store.quota"].split("  ")[0] == "10GB"
    assert lines["store.quota"].endswith("# environment SHOAL_STORE_QUOTA")
    assert lines["upstreams"].startswith("quay.io=http://127.0.0.1:1")
    assert lines["node.zone"].startswith('""')
    assert len(lines) == len(rows())


def test_the_settings_are_json_in_bytes_and_seconds() -> None:
    report = json.loads(json.dumps(render_json(settings("", {}, {"peer.upload_rate": "8mbit"}))))
    assert report["peer.upload_rate"] == {
        "value": 10**6,
        "text": "1MB/s",
        "source": "flag --peer-upload-rate",
    }
    assert report["store.linger"] == {"value": 30.0, "text": "30s", "source": "default"}
    assert report["tags"]["value"] == [{"pattern": "*", "max_age": 60.0, "stale_if_error": True}]


def test_printed_texts_can_be_given_again() -> None:
    found = settings("", {}, {"store.quota": "10GiB", "tags": "a:*=90s,*=0s", "proxy.listen": "unix:/x"})
    flags = {line.key: line.text for line in lines_of(found)}
    assert settings("", {}, flags) == found


def test_a_secret_is_never_printed() -> None:
    secret = replace(FIELD_OF["node.zone"], secret=True)
    [line] = lines_of(settings("", {}, {"node.zone": "hunter2"}), [secret], [])
    assert "hunter2" not in repr(line)


def test_reading_settings_does_not_import_click() -> None:
    code = "import sys, agent.settings.loader, agent.settings.flags; sys.exit('click' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=PAGE.parents[1]).returncode == 0


def test_every_default_is_of_its_kind() -> None:
    for row in FIELDS:
        if row.default is not None:
            row.kind.parse(row.default)
        assert row.help.endswith("."), row.path
