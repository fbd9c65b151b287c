"""COPY and ADD: where each source comes from, where it goes, and what the history says. PURE.

What a word of ADD is, BuildKit's convert_copy.go says: a git repository, a URL, else a path. A path is cleaned and
never leaves the root of its source; patterns stay for who copies. Of the flags only `--chown`, `--chmod` and
`--parents` are in the history.
"""

import re
from urllib.parse import unquote, urlsplit

from agent.content.digest import Digest
from agent.content.errors import InputError
from agent.content.redaction import HIDDEN
from builder.dockerfile.instructions import Add, Copy, HereDocument
from builder.dockerfile.lint import ignored_sources
from builder.dockerfile.words import expand_document
from builder.plan.git_reference import parse_git_reference
from builder.plan.stage_work import StageWork, clean
from builder.plan.steps import CopyOperation, GitSource, InlineFile, UrlFile

_USER = re.compile(r"(https?://)[^\s/?#]*@", re.IGNORECASE)
_SYMBOLIC_MODE = re.compile(r"[ugoa]*(?:[-+=](?:[rwxXst]*|[ugo]))+(?:,[ugoa]*(?:[-+=](?:[rwxXst]*|[ugo]))+)*")
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_MAX_MODE = 0o7777


def copy(work: StageWork, instruction: Copy) -> None:
    """Raises InputError, DockerfileError."""
    place = instruction.place
    words = [work.word(word, place) for word in instruction.sources]
    destination = work.word(instruction.destination, place)
    owner = work.word(instruction.chown, place) if instruction.chown else None
    mode = work.word(instruction.chmod, place) if instruction.chmod else None
    if mode:
        _check_mode(mode)
    if owner and instruction.link and not all(part.isdecimal() for part in owner.split(":") if part):
        raise InputError(
            f"--chown={owner}: what --link makes knows no names, whatever it is put upon; use numbers"
        )
    sources = _Sources(work, instruction, words)
    keyword = "ADD" if isinstance(instruction, Add) else "COPY"
    if not instruction.from_:
        paths = [_path(path, parents=False) for path in sources.paths]
        work.plan.warnings += ignored_sources(keyword, paths, work.plan.options.ignore, place)
    operation = CopyOperation(
        source=work.file_source(instruction.from_ or None, place),
        paths=sources.paths,
        destination=_destination(work, destination),
        inline=tuple(_inline(work, document) for document in instruction.documents),
        urls=sources.urls,
        gits=sources.gits,
        owner=owner or None,
        mode=mode or None,
        link=instruction.link,
        parents=instruction.parents,
        excludes=tuple(work.word(pattern, place) for pattern in instruction.excludes),
        unpack_archives=_unpacks(instruction, by_default=True),
        unpack_urls=_unpacks(instruction, by_default=False),
    )
    step = work.add_step(_without_user(work.shown(instruction)), place.line, operation)
    shown = [*_shown_flags(instruction, owner, mode), *words]
    shown += [f"<<{document.name}" for document in instruction.documents]
    told = _without_user(" ".join((*shown, destination)))
    work.image.tell(f"{keyword} {told} # buildkit", step)


def _without_user(text: str) -> str:
    """A URL's password is for its server, not for everybody who gets the image or sees the progress."""
    return _USER.sub(rf"\1{HIDDEN}@", text)


class _Sources:
    """The words of one instruction, sorted by what they are."""

    def __init__(self, work: StageWork, instruction: Copy, words: list[str]) -> None:
        paths: list[str] = []
        urls: list[UrlFile] = []
        gits: list[GitSource] = []
        checksum = _checksum(work, instruction, words)
        for word in words:
            git = parse_git_reference(word)
            if git is not None:
                gits.append(_git(instruction, git, checksum))
            elif is_url(word):
                urls.append(_url(instruction, word, checksum))
            else:
                paths.append(_path(word, instruction.parents))
        self.paths, self.urls, self.gits = tuple(paths), tuple(urls), tuple(gits)


def is_url(word: str) -> bool:
    return word.startswith(("http://", "https://"))


def _git(instruction: Copy, git: GitSource, checksum: str | None) -> GitSource:
    if not isinstance(instruction, Add):
        raise InputError(f"COPY takes no git repository ({git.url}): ADD does")
    if checksum and git.checksum and checksum != git.checksum:
        raise InputError(f"{git.url}: --checksum={checksum} is not the {git.checksum} that it says itself")
    checksum = checksum or git.checksum
    if checksum is not None and not _COMMIT.fullmatch(checksum):
        raise InputError(f"{git.url}: the checksum {checksum!r} is no commit")
    return GitSource(
        git.url,
        git.reference,
        git.subdirectory,
        git.keep_git_dir or instruction.keep_git_dir,
        checksum,
        git.submodules,
    )


def _url(instruction: Copy, url: str, checksum: str | None) -> UrlFile:
    if not isinstance(instruction, Add):
        raise InputError(f"COPY takes no URL ({url}): ADD does")
    if checksum is not None:
        Digest.parse(checksum)
    return UrlFile(url, checksum, _file_name(url))


def _file_name(url: str) -> str:
    try:
        path = unquote(urlsplit(url).path)
    except ValueError:
        path = ""
    return clean(path).rpartition("/")[2] or "__unnamed__"


def _path(word: str, parents: bool) -> str:
    """Relative to the root of the source; with --parents what is left of `/./` is where the parents begin."""
    left, pivot, right = word.partition("/./") if parents else (word, "", "")
    cleaned = clean(left)[1:] or "."
    return f"{cleaned}/./{clean(right)[1:]}" if pivot else cleaned


def _checksum(work: StageWork, instruction: Copy, words: list[str]) -> str | None:
    if not isinstance(instruction, Add) or not instruction.checksum:
        return None
    if len(words) != 1 or not (is_url(words[0]) or parse_git_reference(words[0])):
        raise InputError("--checksum is for one source, a URL or a git repository")
    return work.word(instruction.checksum, instruction.place)


def _check_mode(mode: str) -> None:
    if re.fullmatch(r"[0-7]+", mode) and int(mode, 8) <= _MAX_MODE:
        return
    if mode[:1].isdecimal() or not _SYMBOLIC_MODE.fullmatch(mode):
        raise InputError(f"--chmod={mode}: octal up to 7777, or symbolic such as u=rwX,go=rX")


def _destination(work: StageWork, written: str) -> str:
    path = work.absolute(written)
    last = written.rpartition("/")[2]
    return f"{path}/" if last in ("", ".", "..") and path != "/" else path


def _inline(work: StageWork, document: HereDocument) -> InlineFile:
    if not document.expand:
        return InlineFile(document.name, document.content)
    return InlineFile(document.name, expand_document(document.content, work.environment.get))


def _unpacks(instruction: Copy, by_default: bool) -> bool:
    if not isinstance(instruction, Add):
        return False
    return by_default if instruction.unpack is None else instruction.unpack


def _shown_flags(instruction: Copy, owner: str | None, mode: str | None) -> list[str]:
    flags = ["--parents"] if instruction.parents else []
    flags += [f"--chown={owner}"] if owner else []
    return flags + ([f"--chmod={mode}"] if mode else [])
