"""Here-documents: which words of a line open one, and what a RUN does with those it has. PURE.

`RUN cat <<EOF > /x` goes to the shell with its document behind it; a RUN that is nothing but `<<EOF` is no shell's
matter: the document itself is the script, or, where it begins with `#!`, a file that is executed.
"""

import re
from dataclasses import replace

from agent.content.errors import InputError
from builder.dockerfile.instructions import Command, HereDocument
from builder.dockerfile.lexer import Lexer

_OPENING = re.compile(r"(\d*)<<(-?)\s*([^<]*)")
_LEADING_TABS = re.compile(r"^\t+", re.MULTILINE)
_DESCRIPTOR_DIGITS = 9


def opened_in(text: str) -> list[HereDocument]:
    """The documents, still empty, that the words of an instruction open; none where its quotes do not match."""
    try:
        lexer = Lexer(text, _unset, keep_quotes=True, keep_escapes=True, keep_unset=True)
        words = lexer.run()[1]
    except InputError:
        return []
    return [document for word in words if (document := opened_by(word))]


def opened_by(word: str) -> HereDocument | None:
    """None where `word` opens none. A delimiter that is quoted, if in part, leaves the content as it is."""
    match = _OPENING.fullmatch(word)
    if not match or not match[3]:
        return None
    try:
        names = Lexer(match[3], _unset, keep_unset=True).run()[1]
        written = Lexer(match[3], _unset, keep_quotes=True, keep_unset=True).run()[1]
    except InputError:
        return None
    if len(names) != 1:
        return None
    name = names[0]
    descriptor = int(match[1][:_DESCRIPTOR_DIGITS] or 0)
    return HereDocument(name, "", written == names, descriptor, match[2] == "-")


def without_tabs(document: HereDocument) -> HereDocument:
    """With the content that `<<-` means."""
    if not document.strip_tabs:
        return document
    return replace(document, content=_LEADING_TABS.sub("", document.content))


def only_document(command: Command) -> HereDocument | None:
    """The document that a RUN is, where it is nothing else; without its tabs."""
    if not command.shell or len(command.documents) != 1 or not opened_by(command.words[0]):
        return None
    return without_tabs(command.documents[0])


def shell_text(command: Command) -> str:
    """What the shell is given for a command in shell form, documents included."""
    if (document := only_document(command)) is not None:
        return document.content
    return command.words[0] + "".join(
        f"\n{document.content}{document.name}" for document in command.documents
    )


def summary(document: HereDocument) -> str:
    """Its first line, for people."""
    first, *more = document.content.strip().replace("\r\n", "\n").split("\n")
    return f"{first}..." if more else first


def _unset(_name: str) -> str | None:
    return None
