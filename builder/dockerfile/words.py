"""Words with quotes and variables, as instructions other than RUN, CMD and ENTRYPOINT have them. PURE.

`lookup` gives a variable's value, None where it is unset; `escape` is the file's directive. What is wrong with a word
is raised as InputError without a place: the caller knows which instruction it is of (`failure.error_at`).
"""

from agent.content.errors import InputError
from builder.dockerfile.lexer import Lexer, Lookup


def expand(word: str, lookup: Lookup, escape: str = "\\") -> str:
    """Variables replaced, quotes and escapes removed. Raises InputError, for `${v:?message}` too."""
    return _run(Lexer(word, lookup, escape))[0]


def expand_words(word: str, lookup: Lookup, escape: str = "\\") -> list[str]:
    """What `word` falls into after expansion: `EXPOSE $PORTS` has as many ports as the variable. Raises InputError."""
    return _run(Lexer(word, lookup, escape))[1]


def expand_document(content: str, lookup: Lookup) -> str:
    """A here-document of COPY or ADD: quotes are text, and the escape is the backslash whatever the file says."""
    return _run(Lexer(content, lookup, plain_quotes=True))[0]


def expand_title(text: str, lookup: Lookup, escape: str = "\\") -> str:
    """An instruction as progress shows it: quotes and unset variables stay, and what is no good stays as it is."""
    try:
        return Lexer(text, lookup, escape, keep_quotes=True, keep_unset=True).run()[0]
    except InputError:
        return text


def variables_in(word: str, escape: str = "\\") -> set[str]:
    """The variables that `word` wants set: `${v:-x}`, `${v+x}` and `${v?x}` say themselves what holds without."""
    return _read(word, escape).needed


def mentioned_in(word: str, escape: str = "\\") -> set[str]:
    """All variables of `word`."""
    return _read(word, escape).named


def _read(word: str, escape: str) -> Lexer:
    """As far as it can be read: what is wrong with it is said when it is expanded."""
    lexer = Lexer(word, _nothing, escape, keep_unset=True)
    try:
        lexer.run()
    except InputError:
        pass
    return lexer


def _nothing(_name: str) -> str | None:
    return None


def _run(lexer: Lexer) -> tuple[str, list[str]]:
    try:
        return lexer.run()
    except InputError as error:
        shown = lexer.text if len(lexer.text) <= 100 else f"{lexer.text[:100]}..."
        raise InputError(f"cannot expand {shown!r}: {error}") from None
