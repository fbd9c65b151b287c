"""`shoal build` with mistaken flags: said before anything is built, and nothing is written where nobody meant it."""

import base64
import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from builder.build_command import build, shown_text
from tests.agent.commands.local_shell import LocalShell


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (["--output", ""], "--output is empty"),
        (["--tag", ""], "--tag is empty"),
        (
            ["--iidfile", "/nowhere/id"],
            "--iidfile '/nowhere/id': expected a file in a directory that is there",
        ),
        (["--metadata-file", "."], "--metadata-file '.': expected a file"),
        (["--secret", "token"], "--secret takes env=..., id=..., source=..., src=..., type=..., not 'token'"),
        (
            ["--secret", "id=token,src=/nowhere"],
            "(No such file or directory), for --secret id=token",
        ),
    ],
)
def test_a_mistaken_flag_is_told_and_nothing_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: list[str], problem: str
) -> None:
    environment = {"SHOAL_NODE_DATA_DIR": str(tmp_path / "data"), "SHOAL_CONFIG": os.devnull}
    (tmp_path / "context").mkdir()
    (tmp_path / "context/Dockerfile").write_text("FROM scratch\nLABEL a=b\n")
    monkeypatch.chdir(tmp_path / "context")
    told = CliRunner().invoke(build, [*flags, "."], env=environment)
    assert problem in told.output
    assert told.exit_code == 2
    assert os.listdir() == ["Dockerfile"]


def test_the_metadata_file_describes_what_went_into_the_store(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\nLABEL a=b\n")
    told, data = tmp_path / "told.json", tmp_path / "data"
    LocalShell(data).run("build", "-q", "--metadata-file", str(told), "-t", "a:1", str(tmp_path))
    fields = json.loads(told.read_text())
    descriptor = fields["containerimage.descriptor"]
    assert descriptor["digest"] == fields["containerimage.digest"] == fields["digest"]
    manifest = (data / "store/blobs/sha256" / descriptor["digest"].partition(":")[2]).read_bytes()
    assert descriptor["size"] == len(manifest)
    assert descriptor["mediaType"] == json.loads(manifest)["mediaType"]


def test_the_metadata_file_describes_an_archive_and_has_the_names_of_outputs(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\nLABEL a=b\n")
    told, shell = tmp_path / "told.json", LocalShell(tmp_path / "data")
    output = f"type=oci,dest={tmp_path / 'layout'},tar=false,name=b:2"
    for platforms in ("linux/amd64", "linux/amd64,linux/arm64"):
        flags = ["--metadata-file", str(told), "-t", "a:1", "-o", output, "--platform", platforms]
        shell.run("build", "-q", *flags, str(tmp_path))
        fields = json.loads(told.read_text())
        written = json.loads((tmp_path / "layout/index.json").read_text())["manifests"]
        assert {one["digest"] for one in written} == {fields["containerimage.descriptor"]["digest"]}
        assert fields["image.name"] == "a:1,b:2"


def test_a_file_of_no_name_is_the_usual_one(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch as Stage\nCOPY secret /\n")
    environment = {"SHOAL_NODE_DATA_DIR": str(tmp_path / "data"), "SHOAL_CONFIG": os.devnull}
    told = CliRunner().invoke(build, ["--file", "", "--check", str(tmp_path)], env=environment)
    assert "Check complete, 2 warnings have been found!" in told.output
    assert told.exit_code == 1


def test_warnings_are_among_the_raw_progress(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch as Stage\nLABEL a=b\n")
    shown = LocalShell(tmp_path / "data").run("build", "--progress", "rawjson", str(tmp_path)).stderr
    statuses = [json.loads(line) for line in shown.splitlines()]
    warnings = [one for status in statuses for one in status.get("warnings", [])]
    short = base64.b64decode(warnings[0]["short"]).decode()
    assert short.startswith("StageNameCasing: ")
    assert warnings[0]["range"] == [{"start": {"line": 1}, "end": {"line": 1}}]


def test_what_a_check_finds_is_one_object_for_scripts(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch as Stage\n")
    shell = LocalShell(tmp_path / "data")
    told = json.loads(shell.run("build", "--check", "--json", str(tmp_path), code=1).stdout)
    first = told["warnings"][0]
    assert first["ruleName"] == "StageNameCasing"
    assert first["url"] == "https://docs.docker.com/go/dockerfile/rule/stage-name-casing/"
    assert first["location"]["ranges"][0]["start"] == {"line": 1}
    assert told["sources"] == [{"filename": "Dockerfile", "language": "Dockerfile"}]
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    nothing = json.loads(shell.run("build", "--check", "--json", str(tmp_path)).stdout)
    assert nothing["warnings"] == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('COPY token /: "/token": not found', 'COPY token /: "/token": not found'),
        (
            "WORKDIR /x: cannot use /etc/passwd: it is a file",
            "WORKDIR /x: cannot use /etc/passwd: it is a file",
        ),
        ("WORKDIR /etc/passwd: a file", "WORKDIR /etc/passwd: a file"),
        ("ENV password=/abc: x", "ENV password=***"),
        ("RUN x --password: /abc: x", "RUN x --password: ***"),
        ("ADD https://me:secret@host/x: no", "ADD https://***@host/x: no"),
        ('RUN curl -H "Authorization: Bearer /abc: b"', 'RUN curl -H "Authorization: '),
    ],
)
def test_secrets_are_hidden_and_names_of_files_are_not(text: str, shown: str) -> None:
    assert shown_text(text).startswith(shown)
    assert "abc" not in shown_text(text)


@pytest.mark.skipif(os.getuid() != 0, reason="trees are mounted, by root")
def test_a_missing_file_is_told_with_its_line_and_its_name(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY secret /\n")
    environment = {"SHOAL_NODE_DATA_DIR": str(tmp_path / "data"), "SHOAL_CONFIG": os.devnull}
    told = CliRunner().invoke(build, [str(tmp_path)], env=environment)
    assert '[1/1] COPY secret /: "/secret": not found' in told.output
    assert "Dockerfile:2" in told.output
    assert told.exit_code == 2
