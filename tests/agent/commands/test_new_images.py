"""import, and commit of a directory, on a store without an agent."""

import gzip
import io
import lzma
import os
import socket
import tarfile
from pathlib import Path

import pytest

from agent.content.digest import Digest
from tests.agent.commands.local_shell import LocalShell
from tests.agent.images.archives import ArchivedSample, docker_members
from tests.agent.images.test_tar import file, tar

_ROOT = tar(file("etc/passwd", b"root"), file("bin/app", b"#!", mode=0o755))


@pytest.fixture
def shoal(tmp_path: Path) -> LocalShell:
    return LocalShell(tmp_path / "data")


def names_in(shoal: LocalShell, reference: str) -> list[str]:
    body = shoal.run("export", reference).stdout_bytes
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        return sorted(archive.getnames())


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress])
def test_a_tar_becomes_an_image_of_one_layer(shoal: LocalShell, pack: object) -> None:
    body = pack(_ROOT)  # type: ignore[operator]
    arguments = ["-c", 'CMD ["/bin/app"]', "-c", "ENV A=1", "-", "team/base:1"]
    image_id = shoal.run("import", *arguments, stdin=body).stdout.strip()
    (found,) = shoal.json("inspect", "team/base:1")
    assert found["Id"] == image_id
    assert found["Comment"] == "Imported from -"
    assert (found["Config"]["Cmd"], found["Config"]["Env"]) == (["/bin/app"], ["A=1"])
    assert found["RootFS"]["Layers"] == [str(Digest.of(_ROOT))]
    assert names_in(shoal, image_id) == ["bin", "bin/app", "etc", "etc/passwd"]


def test_names_that_begin_with_a_slash_lose_it(shoal: LocalShell, tmp_path: Path) -> None:
    """As `tar -cP` writes them."""
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc/passwd").write_text("root")
    (root / "etc/again").hardlink_to(root / "etc/passwd")
    (root / "etc/link").symlink_to("/etc/passwd")
    written = tmp_path / "root.tar"
    with tarfile.open(written, "w", format=tarfile.PAX_FORMAT) as archive:
        for name in ("etc", "etc/passwd", "etc/again", "etc/link"):
            member = archive.gettarinfo(root / name, arcname=name)
            member.name = f"/{name}"
            if member.islnk():
                member.linkname = f"/{member.linkname}"
            with (root / "etc/passwd").open("rb") as content:
                archive.addfile(member, content if member.isreg() else None)
    shoal.run("import", str(written), "rooted:1")
    directory = unpacked(shoal, "rooted:1", tmp_path / "back")
    assert (directory / "etc/passwd").read_text() == "root"
    assert (directory / "etc/again").stat().st_ino == (directory / "etc/passwd").stat().st_ino
    assert str((directory / "etc/link").readlink()) == "/etc/passwd"
    assert shoal.run("import", "-", stdin=tar(file("/../x", b"1")), code=7).stderr.count(
        "outside of its root"
    )


def test_an_import_may_have_a_comment_and_no_name(shoal: LocalShell, tmp_path: Path) -> None:
    (tmp_path / "root.tar").write_bytes(_ROOT)
    image_id = shoal.json("import", "--json", "-m", "by hand", str(tmp_path / "root.tar"))["image_id"]
    assert shoal.lines("inspect", "-f", "{{.Comment}}", image_id) == ["by hand"]
    assert shoal.lines("images", "--format", "{{.Repository}}:{{.Tag}}") == ["<none>:<none>"]


@pytest.mark.parametrize(
    ("body", "arguments", "code", "words"),
    [
        (b"", ["-"], 7, "nothing to import"),
        (b"x" * 2000, ["-"], 7, "no tar"),
        (_ROOT[:700], ["-"], 7, "truncated"),
        (tar(file("../x", b"1")), ["-"], 7, "outside of its root"),
        (_ROOT, ["-", "UPPER"], 2, "invalid repository name"),
        (_ROOT, ["-c", "RUN x", "-"], 2, "is no change"),
        (_ROOT, ["ftp://example.org/x.tar"], 2, "neither http nor https"),
        (_ROOT, ["/no/where.tar"], 2, "cannot read"),
    ],
)
def test_a_bad_import_is_told_in_a_line_and_leaves_nothing(
    shoal: LocalShell, body: bytes, arguments: list[str], code: int, words: str
) -> None:
    result = shoal.run("import", *arguments, stdin=body, code=code)
    assert words in result.stderr
    assert shoal.lines("images", "-q") == []


def unpacked(shoal: LocalShell, reference: str, directory: Path) -> Path:
    body = shoal.run("export", reference).stdout_bytes
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        archive.extractall(directory, filter="fully_trusted")
    return directory


def _as_owned_here(body: bytes) -> bytes:
    """The tar with this user for its owner, so that what is unpacked is unchanged for any user."""
    written = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(body)) as read,
        tarfile.open(fileobj=written, mode="w") as archive,
    ):
        for member in read:
            member.uid, member.gid = os.geteuid(), os.getegid()
            archive.addfile(member, read.extractfile(member) if member.isreg() else None)
    return written.getvalue()


def test_a_directory_is_committed_as_what_changed_in_it(shoal: LocalShell, tmp_path: Path) -> None:
    sample = ArchivedSample([_as_owned_here(tar(file("a", b"1" * 900), file("b", b"2"), file("gone", b"3")))])
    shoal.run("load", stdin=tar(*docker_members(sample, "base:1")))
    root = unpacked(shoal, "base:1", tmp_path / "root")
    (root / "gone").unlink()
    (root / "new").mkdir()
    (root / "new/file").write_text("4")
    os.link(root / "new/file", root / "new/link")
    (root / "new/symlink").symlink_to("/etc/shadow")
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(str(root / "new/socket"))
    unix.close()
    arguments = ["--on", "base:1", "-a", "me", "-m", "why", "-c", "USER 5", f"{root}/", "app:1"]
    image_id = shoal.run("commit", *arguments).stdout.strip()
    (found,) = shoal.json("inspect", image_id)
    assert (found["Author"], found["Comment"], found["Config"]["User"]) == ("me", "why", "5")
    assert found["Config"]["Cmd"] == ["sh"], "the parent's stays"
    assert len(found["RootFS"]["Layers"]) == 2
    assert names_in(shoal, "app:1") == ["a", "b", "new", "new/file", "new/link", "new/symlink"]
    newest, oldest = shoal.lines("history", "--format", "{{.CreatedBy}} {{.Comment}}", "app:1")
    assert (newest, oldest) == ("shoal commit why", "step 0 ")
    top = shoal.json("inspect", "--format", "json", "app:1")["RootFS"]["Layers"][1]
    blob = (shoal.data_dir / "store/blobs/sha256" / Digest.parse(top).hex).read_bytes()
    with tarfile.open(fileobj=io.BytesIO(blob)) as archive:
        assert archive.getnames() == [".wh.gone", "new", "new/file", "new/link", "new/symlink"]


def test_a_directory_without_a_parent_is_an_image_of_its_own(shoal: LocalShell, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root/file").write_text("1")
    shoal.run("commit", str(tmp_path / "root"), "app:1")
    assert names_in(shoal, "app:1") == ["file"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["/no/where"], 2, "is no directory"),
        (["--on", "nothing", "./"], 3, "No such image"),
        (["docker:$(id)"], 2, "neither a directory nor a container"),
        (["--on", "x", "container"], 2, "--on is for directories"),
    ],
)
def test_what_cannot_be_committed_is_told_in_a_line(
    shoal: LocalShell, arguments: list[str], code: int, words: str
) -> None:
    assert words in shoal.run("commit", *arguments, code=code).stderr
