"""images, inspect, history, tag, rmi, prune, pin, save, load, export on a store without an agent."""

import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.agent.commands.local_shell import LocalShell
from tests.agent.images.archives import ArchivedSample, docker_members
from tests.agent.images.test_tar import file, tar

_APP = ArchivedSample(labels={"tier": "web"})
_CHILD = ArchivedSample([*_APP.layers, tar(file("c", b"3"))])


@pytest.fixture
def shoal(tmp_path: Path) -> LocalShell:
    return LocalShell(tmp_path / "data")


def load(shoal: LocalShell, sample: ArchivedSample, *names: str) -> str:
    return shoal.run("load", stdin=tar(*docker_members(sample, *names))).stdout


def test_load_says_what_docker_says(shoal: LocalShell) -> None:
    assert load(shoal, _APP, "team/app:1", "app:2") == "Loaded image: team/app:1\nLoaded image: app:2\n"
    assert load(shoal, _CHILD) == f"Loaded image ID: {_CHILD.image_id}\n"


def test_images_are_listed_in_dockers_columns(shoal: LocalShell) -> None:
    load(shoal, _APP, "team/app:1")
    head, line = shoal.lines("images")
    assert head.split("  ")[0] == "REPOSITORY"
    assert "IMAGE ID" in head
    assert line.split()[:3] == ["team/app", "1", _APP.image_id.short]
    assert shoal.lines("images", "-q") == [_APP.image_id.short]
    assert shoal.lines("images", "-q", "--no-trunc") == [str(_APP.image_id)]
    assert "DIGEST" in shoal.lines("images", "--digests")[0]
    (listed,) = shoal.json("images", "--json")
    assert (listed["repository"], listed["image_id"]) == ("cluster.shoal/team/app", str(_APP.image_id))
    assert listed["created_at"] == "2024-01-02T03:04:05+00:00"
    assert json.loads(shoal.lines("images", "--format", "json")[0])["Repository"] == "team/app"
    assert shoal.lines("images", "--format", "{{.Repository}}:{{.Tag}}") == ["team/app:1"]


@pytest.mark.parametrize(
    ("filter_text", "expected"),
    [
        ("reference=team/*", ["team/app:1"]),
        ("reference=*", ["other:1"]),
        ("reference=team/app:2", []),
        ("dangling=true", []),
        ("dangling=false", ["other:1", "team/app:1"]),
        ("label=tier", ["team/app:1"]),
        ("label=tier=web", ["team/app:1"]),
        ("label=tier=db", []),
        ("before=team/app:1", []),
        ("since=other:1", []),
    ],
)
def test_images_are_filtered_as_dockers(shoal: LocalShell, filter_text: str, expected: list[str]) -> None:
    load(shoal, _APP, "team/app:1")
    load(shoal, _CHILD, "other:1")
    assert shoal.lines("images", "-f", filter_text, "--format", "{{.Repository}}:{{.Tag}}") == expected


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["images", "-f", "colour=red"], 2, "invalid filter"),
        (["images", "--format", "{{.Nope}}"], 2, "there is no field .Nope"),
        (["inspect", "nothing"], 3, "No such image: nothing"),
        (["history", "nothing"], 3, "No such image: nothing"),
        (["save", "nothing"], 3, "No such image: nothing"),
        (["tag", "app", "UPPER"], 2, "invalid repository name"),
        (["tag", "app", "x@sha256:" + "0" * 64], 2, "has a digest"),
        (["load", "-i", "/no/where.tar"], 2, "cannot read /no/where.tar"),
        (["rmi", "nothing"], 3, "No such image: nothing"),
        (["pin", "nothing"], 3, "No such image: nothing"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_line(
    shoal: LocalShell, arguments: list[str], code: int, words: str
) -> None:
    load(shoal, _APP, "app:latest")
    result = shoal.run(*arguments, code=code)
    assert words in result.stderr
    assert result.stderr.startswith("shoal: ")


def test_inspect_has_dockers_fields(shoal: LocalShell) -> None:
    load(shoal, _APP, "team/app:1")
    (found,) = shoal.json("inspect", "team/app:1")
    assert found["Id"] == str(_APP.image_id)
    assert found["RepoTags"] == ["team/app:1"]
    assert found["Config"]["Cmd"] == ["sh"]
    assert found["RootFS"]["Type"] == "layers"
    assert len(found["RootFS"]["Layers"]) == 2
    assert shoal.lines("inspect", "-f", "{{json .Config.Labels}}", "team/app:1") == ['{"tier":"web"}']
    assert shoal.lines("inspect", "-f", "{{.Architecture}}", _APP.image_id.short) == ["amd64"]


def test_history_tells_the_newest_step_first(shoal: LocalShell) -> None:
    load(shoal, _APP, "app")
    head, first, second = shoal.lines("history", "app")
    assert head.split() == ["IMAGE", "CREATED", "CREATED", "BY", "SIZE", "COMMENT"]
    assert first.startswith(_APP.image_id.short)
    assert "step 1" in first
    assert second.startswith("<missing>")
    assert shoal.lines("history", "-q", "app") == [_APP.image_id.short, "<missing>"]
    assert "2048" in shoal.lines("history", "--human=false", "app")[1]
    assert shoal.lines("history", "--format", "{{.CreatedBy}}", "app") == ["step 1", "step 0"]


def test_an_image_goes_with_its_last_name(shoal: LocalShell) -> None:
    load(shoal, _APP, "app:1")
    shoal.run("tag", "app:1", "team/app:2")
    first = shoal.lines("rmi", "app:1")
    assert first[0] == "Untagged: app:1"
    assert not any(line.startswith("Deleted") for line in first)
    last = shoal.lines("rmi", "team/app:2")
    assert f"Deleted: {_APP.image_id}" in last
    assert len([line for line in last if line.startswith("Deleted")]) == 3, "the image, and its two layers"
    assert shoal.lines("images") == shoal.lines("images")[:1]
    blobs = shoal.data_dir / "store/blobs/sha256"
    assert list(blobs.iterdir()) == []


def test_layers_that_another_image_needs_stay(shoal: LocalShell) -> None:
    load(shoal, _APP, "app:1")
    load(shoal, _CHILD, "child:1")
    removed = shoal.json("rmi", "--json", "child:1")
    assert len(removed["deleted"]) == 2
    assert removed["freed_bytes"] > 0
    assert shoal.run("export", "app:1").stdout_bytes


def test_an_image_of_several_names_or_with_children_is_removed_by_its_id_only_by_force(
    shoal: LocalShell,
) -> None:
    load(shoal, _APP, "app:1", "team/app:1")
    assert "referenced in multiple repositories" in shoal.run("rmi", _APP.image_id.short, code=2).stderr
    shoal.run("rmi", "team/app:1")
    load(shoal, _CHILD, "child:1")
    assert "dependent child images" in shoal.run("rmi", _APP.image_id.short, code=2).stderr
    shoal.run("rmi", "-f", _APP.image_id.short)
    assert shoal.lines("images", "--format", "{{.Repository}}") == ["child"]


def test_prune_takes_what_has_no_name_and_asks_first(shoal: LocalShell) -> None:
    load(shoal, _APP, "app:1")
    load(shoal, _CHILD)
    asked = shoal.run("prune", stdin="n\n").stdout
    assert "Are you sure you want to continue? [y/N]" in asked
    assert len(shoal.lines("images", "-q")) == 2
    pruned = shoal.run("prune", stdin="y\n").stdout
    assert f"deleted: {_CHILD.image_id}" in pruned
    assert "Total reclaimed space: " in pruned
    assert shoal.lines("images", "-q") == [_APP.image_id.short]
    assert shoal.lines("prune", "-f") == ["Total reclaimed space: 0B"]


def test_prune_of_all_leaves_what_is_pinned(shoal: LocalShell) -> None:
    load(shoal, _APP, "app:1")
    load(shoal, _CHILD, "child:1")
    shoal.run("pin", "app:1")
    assert [line.split()[0] for line in shoal.lines("pin")] == ["app:1"]
    assert "image is pinned" in shoal.run("rmi", "app:1", code=2).stderr
    shoal.run("prune", "-a", "-f")
    assert shoal.lines("images", "-q") == [_APP.image_id.short]
    shoal.run("unpin", "app:1")
    shoal.run("prune", "-a", "-f")
    assert shoal.lines("images", "-q") == []


def test_a_tag_that_moves_leaves_the_image_without_a_name(shoal: LocalShell) -> None:
    load(shoal, _APP, "app:1")
    load(shoal, _CHILD, "app:1")
    assert shoal.lines("images", "--format", "{{.ID}} {{.Tag}}") == [
        f"{_CHILD.image_id.short} 1",
        f"{_APP.image_id.short} <none>",
    ]
    shoal.run("prune", "-f")
    assert shoal.lines("images", "-q") == [_CHILD.image_id.short]


def test_several_images_go_into_one_archive_and_come_out_of_it(shoal: LocalShell, tmp_path: Path) -> None:
    load(shoal, _APP, "app:1", "app:2")
    load(shoal, _CHILD, "child:1")
    archive = tmp_path / "both.tar"
    shoal.run("save", "-o", str(archive), "app:1", "app:2", "child:1")
    piped = shoal.run("save", "app:1", "app:2", "child:1").stdout_bytes
    assert piped == archive.read_bytes()
    other = LocalShell(tmp_path / "other")
    found = other.json("load", "--json", "-i", str(archive))
    assert [one["names"] for one in found] == [["app:1", "app:2"], ["child:1"]]
    with tarfile.open(archive) as opened:
        manifest = json.load(opened.extractfile("manifest.json"))  # type: ignore[arg-type]
    assert [entry["RepoTags"] for entry in manifest] == [["app:1", "app:2"], ["child:1"]]


def test_a_name_without_a_tag_saves_all_of_its_tags(shoal: LocalShell, tmp_path: Path) -> None:
    load(shoal, _APP, "app:1", "app:2", "app:latest")
    archive = tmp_path / "app.tar"
    shoal.run("save", "-o", str(archive), "app")
    (found,) = LocalShell(tmp_path / "other").json("load", "--json", "-i", str(archive))
    assert found["names"] == ["app:1", "app:2", "app:latest"]
    shoal.run("save", "-o", str(archive), _APP.image_id.short)
    (found,) = LocalShell(tmp_path / "third").json("load", "--json", "-i", str(archive))
    assert found["names"] == []


def test_a_registry_of_this_machine_that_is_an_upstream_keeps_its_name(shoal: LocalShell) -> None:
    load(shoal, _APP, "app:1")
    shoal.run("tag", "app:1", "localhost:5000/team/app:1")
    shoal.run(
        "tag", "--upstreams", "localhost:5000=http://localhost:5000", "app:1", "localhost:5000/team/app:2"
    )
    assert sorted(shoal.lines("images", "--format", "{{.Repository}}:{{.Tag}}")) == [
        "app:1",
        "localhost:5000/team/app:2",
        "team/app:1",
    ]


def test_a_failed_save_leaves_the_file_that_was_there(shoal: LocalShell, tmp_path: Path) -> None:
    load(shoal, _APP, "app:1")
    blob = next(
        path for path in (shoal.data_dir / "store/blobs/sha256").iterdir() if path.stat().st_size > 2000
    )
    blob.write_bytes(b"x" * blob.stat().st_size)
    archive = tmp_path / "app.tar"
    archive.write_bytes(b"before")
    assert "is damaged on this disk" in shoal.run("save", "-o", str(archive), "app:1", code=7).stderr
    assert archive.read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["app.tar"]


def test_export_is_the_root_file_system(shoal: LocalShell) -> None:
    load(shoal, _CHILD, "app:1")
    body = shoal.run("export", "app:1").stdout_bytes
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        assert sorted(archive.getnames()) == ["a", "b", "c"]


def test_looking_makes_no_store(shoal: LocalShell) -> None:
    assert shoal.lines("images", "-q") == []
    assert "there are no images yet" in shoal.run("inspect", "app", code=3).stderr
    assert not shoal.data_dir.exists()


def test_a_full_disk_is_told_in_a_line_and_leaves_nothing(shoal: LocalShell, tmp_path: Path) -> None:
    """A file cannot grow beyond the limit: what the kernel says then is what it says of a full disk."""
    archive = tmp_path / "big.tar"
    archive.write_bytes(tar(*docker_members(ArchivedSample([tar(file("big", b"x" * 500_000))]), "big:1")))
    code = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000)); import shoal; shoal.main()"
    environment = {**os.environ, "SHOAL_NODE_DATA_DIR": str(shoal.data_dir), "SHOAL_CONFIG": os.devnull}
    done = subprocess.run(
        [sys.executable, "-c", code, "load", "-i", str(archive)],
        cwd=Path(__file__).parents[3],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 6
    assert done.stderr.startswith("shoal: cannot stage")
    assert "free some space there" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert shoal.lines("images", "-q") == []
    assert list((shoal.data_dir / "store/staging").iterdir()) == []
