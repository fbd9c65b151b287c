"""`Case`: a Dockerfile with its context, and how it is to be built. Many share a file of cases/:

    === directory-contents: what is in the directory is copied, not the directory
    FROM base
    COPY d /x/
    --- d/a 0640
    a file of the context, with its mode
    --- @shell
    mkfifo d/pipe
    --- @flags --target work --build-arg A=1
    --- @tree
    /x/a 0640 0:0 'a file of the context, with its mode\\n'
    /d absent

The Dockerfile comes first, then what else belongs to it. What begins with @ is no file:
    @shell           made by /bin/sh in the context's directory; for links, devices, archives, odd bytes
    @flags           of the build; {http} is a server of the contexts, {context} this one on it
    @error TEXT      our build fails, and says TEXT; so do the engines' builds, whatever they say
    @tree            what must be where in our image; for what no engine of Debian can judge, as today's BuildKit has it
    @config          lines `Key JSON` of our image's config
    @without A B: …  engines that do not know what the case is about, with the reason
Before a file's first case: a comment, and an @without for all of them.
"""

import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

CASES = Path(__file__).with_name("cases")
ENGINES = ("buildkit", "classic", "buildah")


@dataclass(frozen=True, slots=True)
class ContextFile:
    content: bytes
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class Case:
    """name: `file/short-name`. without: why, by engine. tree: by path. error: what our message has in it."""

    name: str
    title: str
    files: Mapping[str, ContextFile]
    shell: str = ""
    flags: str = ""
    error: str | None = None
    tree: Mapping[str, str] = field(default_factory=dict)
    config: str = ""
    without: Mapping[str, str] = field(default_factory=dict)

    def write(self, directory: Path) -> None:
        directory.mkdir(parents=True)
        directory.chmod(0o755)
        for name, file in self.files.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.content)
            path.chmod(file.mode)
        if self.shell:
            command = ["/bin/sh", "-euc", f"umask 022\n{self.shell}"]
            subprocess.run(command, cwd=directory, check=True, capture_output=True)

    def arguments(self, http: str) -> list[str]:
        given = self.flags.replace("{http}", http).replace("{context}", f"{http}/{self.slug}")
        return shlex.split(given)

    @property
    def slug(self) -> str:
        """Of letters that an image's name, a path and a URL can have."""
        return self.name.replace("/", "-")


def all_cases(only: str = "") -> list[Case]:
    found = [case for path in sorted(CASES.glob("*.txt")) for case in read_cases(path)]
    return [case for case in found if only in case.name]


def read_cases(path: Path) -> Iterator[Case]:
    head, *parts = re.split(r"^=== ", path.read_text(), flags=re.MULTILINE)
    common = _sections(f"\n{head}")[1:]
    for part in parts:
        title, _, body = part.partition("\n")
        name, _, told = title.partition(": ")
        if body.endswith("\n\n"):  # the line before the next case is nobody's
            body = body[:-1]
        yield _case(f"{path.stem}/{name}", told, [*common, *_sections(body)])


def _sections(text: str) -> list[tuple[str, str]]:
    """(header, body), the first one's header is Dockerfile."""
    first, *rest = re.split(r"^--- (.*)\n", text, flags=re.MULTILINE)
    return [("Dockerfile", first), *zip(rest[::2], rest[1::2], strict=True)]


def _case(name: str, title: str, sections: list[tuple[str, str]]) -> Case:
    files: dict[str, ContextFile] = {}
    values: dict[str, str] = {}
    without: dict[str, str] = {}
    error = None
    for header, body in sections:
        word, _, rest = header.partition(" ")
        match word:
            case "@without":
                engines, _, why = rest.partition(": ")
                without |= dict.fromkeys(engines.split(), why)
            case "@error":
                error = rest
            case "@flags":
                values["flags"] = rest
            case "@shell" | "@config" | "@tree":
                values[word[1:]] = body
            case _:
                assert not word.startswith("@"), f"{name}: {word}"
                files[word] = ContextFile(body.encode(), int(rest or "644", 8))
    assert without.keys() <= {*ENGINES}, f"{name}: {list(without)}"
    lines = [line.partition(" ") for line in values.pop("tree", "").splitlines()]
    tree = {path: facts for path, _, facts in lines if path}
    return Case(name, title, files, error=error, tree=tree, without=without, **values)
