"""`Written`: one instruction as it stands in the file, taken apart as far as is the same for all of them. PURE."""

from dataclasses import dataclass, replace

from builder.dockerfile.failure import Malformed
from builder.dockerfile.flags import Flags, Kind, parse_flags
from builder.dockerfile.here_documents import only_document, summary
from builder.dockerfile.instructions import Command, HereDocument, Place
from builder.dockerfile.syntax import Split, json_words, split_instruction

_DOCUMENTS_IN = ("ADD", "COPY", "RUN")


@dataclass(frozen=True, slots=True)
class Written:
    """text: lines joined; keyword in upper case; documents: those that the text opens, filled."""

    place: Place
    text: str
    split: Split
    escape: str
    documents: tuple[HereDocument, ...] = ()

    @property
    def keyword(self) -> str:
        return self.split.keyword.upper()

    @property
    def arguments(self) -> str:
        return self.split.arguments

    @property
    def trigger(self) -> "Written":
        """What ONBUILD has behind it."""
        return replace(self, text=self.arguments, split=split_instruction(self.arguments))

    @property
    def may_open_documents(self) -> bool:
        inner = self.trigger if self.keyword == "ONBUILD" else self
        return "<<" in self.text and inner.keyword in _DOCUMENTS_IN and json_words(inner.arguments) is None

    @property
    def title(self) -> str:
        return self.keyword + self.text[len(self.split.keyword) :]

    def flags(self, known: dict[str, Kind]) -> Flags:
        return parse_flags(self.keyword, self.split.flags, known)

    def no_flags(self) -> None:
        parse_flags(self.keyword, self.split.flags, {})

    def one_argument(self, example: str) -> str:
        """All of the arguments as one. Raises Malformed where there is nothing."""
        self.no_flags()
        if not self.arguments:
            raise Malformed(f"{self.keyword} needs an argument: {self.keyword} {example}")
        return self.arguments

    def command(self) -> Command:
        """JSON form or shell form; the latter may be empty."""
        words = json_words(self.arguments)
        if words is not None:
            return Command(words, shell=False)
        return Command((self.arguments,), shell=True, documents=self.documents)

    def run_title(self, command: Command) -> str:
        document = only_document(command)
        return self.title if document is None else f"{self.title} ({summary(document)})"
