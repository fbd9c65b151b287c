import pytest

from agent.content.errors import InputError
from builder.dockerfile.failure import DockerfileError
from builder.plan.git_reference import parse_git_reference
from builder.plan.steps import ContextSource, CopyOperation, GitSource, InlineFile, UrlFile
from tests.builder.plan.planning import copies, history, plan_of

DIGEST = f"sha256:{'0' * 64}"


def copy(text: str) -> CopyOperation:
    return copies(plan_of(f"FROM a\nWORKDIR /w\nENV V=v\n{text}\n"))[-1]


@pytest.mark.parametrize(
    ("destination", "expected"),
    [
        (".", "/w/"), ("./", "/w/"), ("d", "/w/d"), ("d/", "/w/d/"), ("/", "/"), ("/d", "/d"), ("d/.", "/w/d/"),
        ("../../x", "/x"), ("/a/../$V/", "/v/"), ("..", "/"),
    ],
)  # fmt: skip
def test_a_destination_is_relative_to_the_directory_and_keeps_its_slash(
    destination: str, expected: str
) -> None:
    assert copy(f"COPY x {destination}").destination == expected


def test_names_with_blanks_are_words_of_the_json_form() -> None:
    operation = copy('COPY ["a b", "/c d/"]')
    assert (operation.paths, operation.destination) == (("a b",), "/c d/")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a", "a"), ("/a/", "a"), ("./a/../b", "b"), ("../../a", "a"), (".", "."), ("/", "."), ("a*/?[b]", "a*/?[b]"),
        ("$V.txt", "v.txt"), ("github.com/x/y", "github.com/x/y"),
    ],
)  # fmt: skip
def test_a_source_is_a_pattern_under_the_root_of_its_files(source: str, expected: str) -> None:
    operation = copy(f"COPY {source} /d/")
    assert operation.paths == (expected,)
    assert operation.source == ContextSource()


def test_parents_keep_the_place_where_they_begin() -> None:
    assert copy("COPY --parents ./a/./b/../c/*.py /d/").paths == ("a/./c/*.py",)
    assert copy("COPY --parents x/y /d/").paths == ("x/y",)
    assert copy("COPY a/./b /d/").paths == ("a/b",)


def test_flags_are_expanded_and_of_them_the_history_tells_what_changes_the_files() -> None:
    text = "COPY --link --chown=$V:1 --chmod=u=rwX,go=rX --exclude=*.$V --parents a b /d/"
    plan = plan_of(f"FROM a\nENV V=7\n{text}\n")
    operation = copies(plan)[0]
    assert (operation.owner, operation.mode, operation.excludes) == ("7:1", "u=rwX,go=rX", ("*.7",))
    assert operation.link
    assert operation.parents
    assert history(plan)[-1] == "COPY --parents --chown=7:1 --chmod=u=rwX,go=rX a b /d/ # buildkit"


def test_a_linked_copy_cannot_be_somebody_s_by_name() -> None:
    with pytest.raises(InputError, match="use numbers"):
        plan_of("FROM a\nCOPY --link --chown=me x /\n")


def test_here_documents_are_files_and_expanded_unless_their_name_is_quoted() -> None:
    plan = plan_of("FROM a\nENV V=v\nCOPY x <<one <<'two' /d/\n\"$V\" \\$V\none\n$V\ntwo\n")
    operation = copies(plan)[0]
    assert operation.paths == ("x",)
    assert operation.inline == (InlineFile("one", '"v" $V\n'), InlineFile("two", "$V\n"))
    assert history(plan)[-1] == "COPY x <<one <<two /d/ # buildkit"


def test_add_tells_urls_and_repositories_from_paths() -> None:
    operation = copy(
        "ADD a.tar https://h/p/f%20x.tgz?q=1 https://h/ git@h.org:o/r.git#main:sub https://h/r.git git://h/x /d/"
    )
    assert operation.paths == ("a.tar",)
    assert operation.urls == (
        UrlFile("https://h/p/f%20x.tgz?q=1", None, "f x.tgz"),
        UrlFile("https://h/", None, "__unnamed__"),
    )
    assert operation.gits == (
        GitSource("git@h.org:o/r.git", "main", "sub"),
        GitSource("https://h/r.git"),
        GitSource("git://h/x"),
    )


def test_add_unpacks_what_is_here_and_leaves_urls_unless_it_is_told() -> None:
    def unpacks(text: str) -> tuple[bool, bool]:
        return copy(text).unpack_archives, copy(text).unpack_urls

    assert unpacks("ADD a /d/") == (True, False)
    assert unpacks("ADD --unpack a /d/") == (True, True)
    assert unpacks("ADD --unpack=false a /d/") == (False, False)
    assert unpacks("COPY a /d/") == (False, False)


def test_a_password_of_a_url_is_in_no_history_and_no_title() -> None:
    plan = plan_of("FROM a\nADD https://me:s3cret@h/f https://me:s3cret@h/r.git /d/\n")
    assert copies(plan)[0].urls[0].url == "https://me:s3cret@h/f"
    assert history(plan)[-1] == "ADD https://***@h/f https://***@h/r.git /d/ # buildkit"
    assert all("s3cret" not in step.title for step in plan.steps)


def test_a_checksum_is_a_urls_digest_or_a_repositorys_commit() -> None:
    assert copy(f"ADD --checksum={DIGEST} https://h/f /d/").urls[0].checksum == DIGEST
    assert copy("ADD --checksum=0123abc --keep-git-dir https://h/r.git#v1 /d/").gits == (
        GitSource("https://h/r.git", "v1", "", True, "0123abc"),
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("COPY https://h/f /d/", "COPY takes no URL"),
        ("COPY git@h:o/r /d/", "COPY takes no git repository"),
        (f"ADD --checksum={DIGEST} a /d/", "--checksum is for one source"),
        (f"ADD --checksum={DIGEST} https://h/f https://h/g /d/", "--checksum is for one source"),
        ("ADD --checksum=sha256:1 https://h/f /d/", "invalid digest"),
        (f"ADD --checksum={DIGEST} https://h/r.git /d/", "is no commit"),
        ("COPY --chmod=999 a /d/", "octal up to 7777, or symbolic"),
        ("COPY --chmod=17777 a /d/", "octal up to 7777, or symbolic"),
        ("COPY --chmod=u:x a /d/", "octal up to 7777, or symbolic"),
        ("ADD https://h/r.git?tag=a&branch=b /d/", "a tag or a branch, not both"),
    ],
)
def test_what_cannot_be_copied_is_told_at_its_line(text: str, problem: str) -> None:
    with pytest.raises(DockerfileError, match=r"Dockerfile:4:") as caught:
        copy(text)
    assert problem in caught.value.problem


@pytest.mark.parametrize(
    "text",
    [
        "https://h/f",
        "https://h/r.git/",
        "./x.git",
        "h.xyz/o/r.git",
        "github.com/o/r",
        "ftp://h/r.git",
        "a",
        "x@y",
        "",
    ],
)
def test_what_is_no_repository(text: str) -> None:
    assert parse_git_reference(text) is None


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?tag=v1", GitSource("https://h/r.git", "refs/tags/v1")),
        ("?branch=refs/heads/x", GitSource("https://h/r.git", "refs/heads/x")),
        ("?ref=x&subdir=a/b", GitSource("https://h/r.git", "x", "a/b")),
        ("?commit=0123abc", GitSource("https://h/r.git", "0123abc", "", False, "0123abc")),
        ("?submodules=false&keep-git-dir", GitSource("https://h/r.git", keep_git_dir=True, submodules=False)),
    ],
)
def test_a_repository_may_say_more_in_its_query(query: str, expected: GitSource) -> None:
    assert parse_git_reference(f"https://h/r.git{query}") == expected


@pytest.mark.parametrize("query", ["?x=1", "?ref=a&ref=b", "?ref=", "?submodules=maybe", "?ref=a#b"])
def test_a_repository_that_contradicts_itself_is_refused(query: str) -> None:
    with pytest.raises(InputError, match=r"https://h/r\.git"):
        parse_git_reference(f"https://h/r.git{query}")
