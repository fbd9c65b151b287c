"""COPY, ADD and RUN: the instructions that make layers, with the most flags and the here-documents. PURE."""

import re
from dataclasses import dataclass

from builder.dockerfile.failure import Malformed, did_you_mean
from builder.dockerfile.flags import Kind
from builder.dockerfile.here_documents import opened_by, without_tabs
from builder.dockerfile.instructions import Add, Copy, HereDocument, Run
from builder.dockerfile.mounts import parse_mount
from builder.dockerfile.syntax import json_words
from builder.dockerfile.white_space import split_words
from builder.dockerfile.written import Written

_COPY_FLAGS = {
    "from": Kind.TEXT, "chown": Kind.TEXT, "chmod": Kind.TEXT, "link": Kind.SWITCH, "parents": Kind.SWITCH,
    "exclude": Kind.TEXTS,
}  # fmt: skip
_ADD_FLAGS = {
    "chown": Kind.TEXT, "chmod": Kind.TEXT, "link": Kind.SWITCH, "exclude": Kind.TEXTS, "checksum": Kind.TEXT,
    "keep-git-dir": Kind.SWITCH, "unpack": Kind.SWITCH,
}  # fmt: skip
_RUN_FLAGS = {"mount": Kind.TEXTS, "network": Kind.TEXT, "security": Kind.TEXT}
_NETWORKS = ("default", "none", "host")
_SECURITIES = ("sandbox", "insecure")


@dataclass(frozen=True, slots=True)
class _Files:
    sources: tuple[str, ...]
    documents: tuple[HereDocument, ...]
    destination: str


def read_copy(written: Written) -> Copy:
    flags = written.flags(_COPY_FLAGS)
    files = _files(written)
    from_ = flags.text("from")
    if from_ is not None and re.search(r"\$.", from_):
        raise Malformed("COPY --from takes no variables: give a stage that FROM with the variable", "--from")
    return Copy(
        written.place,
        written.title,
        files.sources,
        files.documents,
        files.destination,
        from_=from_ or None,
        chown=flags.text("chown") or None,
        chmod=flags.text("chmod") or None,
        link=flags.switch("link") or False,
        parents=flags.switch("parents") or False,
        excludes=flags.texts("exclude"),
    )


def read_add(written: Written) -> Add:
    flags = written.flags(_ADD_FLAGS)
    files = _files(written)
    return Add(
        written.place,
        written.title,
        files.sources,
        files.documents,
        files.destination,
        chown=flags.text("chown") or None,
        chmod=flags.text("chmod") or None,
        link=flags.switch("link") or False,
        excludes=flags.texts("exclude"),
        checksum=flags.text("checksum") or None,
        keep_git_dir=flags.switch("keep-git-dir") or False,
        unpack=flags.switch("unpack"),
    )


def read_run(written: Written) -> Run:
    flags = written.flags(_RUN_FLAGS)
    command = written.command()
    if not command.words:
        raise Malformed('RUN [] runs nothing: RUN ["program", "argument"...]')
    return Run(
        written.place,
        written.run_title(command),
        command,
        mounts=tuple(parse_mount(text) for text in flags.texts("mount")),
        network=_one_of("network", flags.text("network"), _NETWORKS),
        security=_one_of("security", flags.text("security"), _SECURITIES),
    )


def _files(written: Written) -> _Files:
    """JSON form is for names with blanks; a `<<EOF` in it is a name like others."""
    words = json_words(written.arguments)
    in_json = words is not None
    if words is None:
        words = tuple(split_words(written.arguments))
    if len(words) < 2:
        missing = "a source and a destination" if not words else "a destination, too"
        raise Malformed(f"{written.keyword} needs {missing}: {written.keyword} <source>... <destination>")
    *sources, destination = words
    if in_json:
        return _Files(tuple(sources), (), destination)
    if opened_by(destination):
        raise Malformed("a here-document is no destination: put the path last", destination)
    filled = {document.name: without_tabs(document) for document in written.documents}
    opened = {source: document.name for source in sources if (document := opened_by(source))}
    for source, name in opened.items():
        if name not in filled:
            raise Malformed("this here-document stands in quotes, or behind some that are not closed", source)
    return _Files(
        tuple(source for source in sources if source not in opened),
        tuple(filled[opened[source]] for source in sources if source in opened),
        destination,
    )


def _one_of(flag: str, value: str | None, possible: tuple[str, ...]) -> str | None:
    if value is not None and value not in possible:
        raise Malformed(f"--{flag}={value} is not possible: {did_you_mean(value, possible)}", f"--{flag}")
    return value
