"""Git repositories, as ADD and build contexts take them."""

import os
import subprocess
from pathlib import Path

import pytest

from agent.content.errors import InputError, SourceError
from builder.plan.git_reference import parse_git_context
from builder.plan.steps import GitSource
from builder.sources.git import checkout, complaint

ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    **{f"GIT_{who}_{what}": "x@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}


def git(directory: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=directory, env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A first commit, tagged v1, and a second one on main."""
    root = tmp_path / "repository.git"
    root.mkdir()
    git(root, "init", "--quiet", "--initial-branch", "main")
    (root / "sub").mkdir()
    (root / "sub" / "file").write_text("one")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "-m", "one")
    git(root, "tag", "v1")
    (root / "sub" / "file").write_text("two")
    git(root, "commit", "--quiet", "-a", "-m", "two")
    return root


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "target"
    path.mkdir()
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("reference", "text"), [("", "two"), ("main", "two"), ("v1", "one"), ("refs/tags/v1", "one")]
)
async def test_a_repository_is_checked_out_at_a_reference(
    repository: Path, target: Path, reference: str, text: str
) -> None:
    commit = await checkout(GitSource(f"file://{repository}", reference), target, ENVIRONMENT)
    assert commit == git(repository, "rev-parse", f"{reference or 'main'}^{{commit}}")
    assert (target / "sub" / "file").read_text() == text
    assert not (target / ".git").exists()


@pytest.mark.slow
async def test_a_commit_is_checked_out_and_its_checksum_compared(repository: Path, target: Path) -> None:
    first = git(repository, "rev-parse", "v1")
    source = GitSource(f"file://{repository}", first, keep_git_dir=True, checksum=first[:12])
    assert await checkout(source, target, ENVIRONMENT) == first
    assert (target / ".git").is_dir()
    (target / "other").mkdir()
    with pytest.raises(SourceError, match="expected the commit abc"):
        await checkout(
            GitSource(f"file://{repository}", "main", checksum="abc"), target / "other", ENVIRONMENT
        )


@pytest.mark.slow
async def test_a_reference_that_is_not_there_is_a_clear_error(repository: Path, target: Path) -> None:
    with pytest.raises(SourceError, match="nothing-here"):
        await checkout(GitSource(f"file://{repository}", "nothing-here"), target, ENVIRONMENT)


@pytest.mark.parametrize(
    "source", [GitSource("x.git", "--upload-pack=touch"), GitSource("--upload-pack=x", "main")]
)
async def test_nothing_of_an_image_or_context_becomes_an_option_of_git(
    source: GitSource, target: Path
) -> None:
    with pytest.raises(InputError, match="no reference of a git repository"):
        await checkout(source, target, ENVIRONMENT)


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("https://example.org/a/b.git", GitSource("https://example.org/a/b.git")),
        ("https://example.org/b.git#v1:sub/dir", GitSource("https://example.org/b.git", "v1", "sub/dir")),
        ("git@example.org:a/b.git#main", GitSource("git@example.org:a/b.git", "main")),
        ("git://example.org/b", GitSource("git://example.org/b")),
        ("github.com/a/b", GitSource("https://github.com/a/b")),
        ("github.com/a/b?branch=main", GitSource("https://github.com/a/b", "refs/heads/main")),
        ("file:///a/b.git/#main:x", GitSource("file:///a/b.git/", "main", "x")),
        ("file:///a/b#main:x", None),
        ("git://h/b?branch=main&subdir=x", GitSource("git://h/b", "refs/heads/main", "x")),
        ("https://h/b.git?tag=v1", GitSource("https://h/b.git", "refs/tags/v1")),
        ("https://example.org/b.tar.gz", None),
        ("some/directory", None),
        ("directory.git", None),
    ],
)
def test_git_urls_are_told_from_others(text: str, source: GitSource | None) -> None:
    assert parse_git_context(text) == source


def test_of_what_git_says_the_reason_is_told() -> None:
    said = (
        "warning: x\nHost key verification failed.\nfatal: Could not read.\n\nPlease make sure\nit exists.\n"
    )
    assert complaint(said) == "Host key verification failed. fatal: Could not read."
    assert complaint("error: a\nerror: b\n") == "error: b"
    assert complaint("fatal: c\n") == "fatal: c"
    assert complaint("") == ""
