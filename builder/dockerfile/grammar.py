"""The instructions by their keyword, and how each reads its arguments. PURE.

What the files of COPY, ADD and RUN are is in copying.py; whether an instruction may stand where it stands, in
parser.py. Each function takes what was `Written`, and raises Malformed.
"""

import re
from collections.abc import Callable

from builder.dockerfile.copying import read_add, read_copy, read_run
from builder.dockerfile.durations import parse_duration
from builder.dockerfile.failure import Malformed, did_you_mean
from builder.dockerfile.flags import Flags, Kind
from builder.dockerfile.instructions import (
    Arg,
    Cmd,
    Command,
    Entrypoint,
    Env,
    Expose,
    From,
    Healthcheck,
    Instruction,
    Label,
    Maintainer,
    OnBuild,
    Shell,
    StopSignal,
    User,
    Volume,
    Workdir,
)
from builder.dockerfile.syntax import json_words, quoted_words
from builder.dockerfile.white_space import WHITE_SPACE, split_first, split_words
from builder.dockerfile.written import Written

_STAGE_NAME = re.compile(r"[a-z][a-z0-9_.-]*")
_HEALTHCHECK_FLAGS = {
    "interval": Kind.TEXT, "timeout": Kind.TEXT, "start-period": Kind.TEXT, "start-interval": Kind.TEXT,
    "retries": Kind.TEXT,
}  # fmt: skip
_MAX_RETRIES = 2**31 - 1


def read_instruction(written: Written) -> Instruction:
    """Raises Malformed."""
    read = _READERS.get(written.keyword)
    if read is None:
        raise Malformed(
            f"there is no instruction {written.split.keyword[:40]!r}: {did_you_mean(written.keyword[:40], _READERS)}"
        )
    return read(written)


def is_legacy_pair(written: Written) -> bool:
    """`ENV key the rest`, without an equals sign."""
    words = quoted_words(written.arguments, written.escape)
    return bool(words) and "=" not in words[0]


def _from(written: Written) -> From:
    platform = written.flags({"platform": Kind.TEXT}).text("platform")
    words = split_words(written.arguments)
    if len(words) not in (1, 3) or (len(words) == 3 and words[1].lower() != "as"):
        raise Malformed(
            "FROM takes an image, and AS with a name where the stage has one: FROM <image> [AS <name>]"
        )
    stage_name = words[2].lower() if len(words) == 3 else None
    if stage_name is not None and not _STAGE_NAME.fullmatch(stage_name):
        raise Malformed(
            f"{words[2]!r} is no name for a stage: a letter, then letters, digits, and - _ . alone", words[2]
        )
    return From(written.place, written.title, words[0], stage_name, platform or None)


def _arg(written: Written) -> Arg:
    written.no_flags()
    words = quoted_words(written.arguments, written.escape)
    if not words:
        raise Malformed("ARG needs a name: ARG <name>[=<default>]...")
    pairs = []
    for word in words:
        name, equals, value = word.partition("=")
        if not name:
            raise Malformed("ARG needs a name before the equals sign", word)
        pairs.append((name, value if equals else None))
    return Arg(written.place, written.title, tuple(pairs))


def _env(written: Written) -> Env:
    return Env(written.place, written.title, _pairs(written))


def _label(written: Written) -> Label:
    return Label(written.place, written.title, _pairs(written))


def _pairs(written: Written) -> tuple[tuple[str, str], ...]:
    written.no_flags()
    keyword = written.keyword
    words = quoted_words(written.arguments, written.escape)
    if not words:
        raise Malformed(f"{keyword} needs a name and a value: {keyword} <name>=<value>...")
    if "=" not in words[0]:
        name, value = split_first(written.arguments)
        if value is None:
            raise Malformed(f"{keyword} {name} has no value: {keyword} {name}=<value>", name)
        return ((name, value),)
    pairs = []
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise Malformed(
                f"{word!r} has no =: write {word}=<value>, or put quotes around a value with blanks", word
            )
        if not name:
            raise Malformed(f"{keyword} needs a name before the equals sign", word)
        pairs.append((name, value))
    return tuple(pairs)


def _cmd(written: Written) -> Cmd:
    written.no_flags()
    return Cmd(written.place, written.title, written.command())


def _entrypoint(written: Written) -> Entrypoint:
    written.no_flags()
    return Entrypoint(written.place, written.title, written.command())


def _shell(written: Written) -> Shell:
    arguments = written.one_argument('["/bin/sh", "-c"]')
    words = json_words(arguments)
    if not words:
        raise Malformed('SHELL takes a JSON array: SHELL ["/bin/sh", "-c"]', arguments)
    return Shell(written.place, written.title, words)


def _healthcheck(written: Written) -> Healthcheck:
    flags = written.flags(_HEALTHCHECK_FLAGS)
    kind, rest = split_first(written.arguments)
    if kind.upper() == "NONE":
        if rest:
            raise Malformed("HEALTHCHECK NONE takes nothing more", rest)
        return Healthcheck(written.place, written.title, None)
    if kind.upper() != "CMD":
        raise Malformed("HEALTHCHECK takes CMD or NONE: HEALTHCHECK CMD <command>", kind)
    words = json_words(rest or "")
    if not rest or words == ():
        raise Malformed("HEALTHCHECK CMD needs a command: HEALTHCHECK CMD <command>")
    return Healthcheck(
        written.place,
        written.title,
        Command((rest,), shell=True) if words is None else Command(words, shell=False),
        interval_ns=parse_duration(flags.text("interval") or "", "interval"),
        timeout_ns=parse_duration(flags.text("timeout") or "", "timeout"),
        start_period_ns=parse_duration(flags.text("start-period") or "", "start-period"),
        start_interval_ns=parse_duration(flags.text("start-interval") or "", "start-interval"),
        retries=_retries(flags),
    )


def _retries(flags: Flags) -> int:
    text = flags.text("retries") or "0"
    digits = text.removeprefix("+")
    if not (digits.isascii() and digits.isdecimal() and len(digits) < 20 and int(digits) <= _MAX_RETRIES):
        raise Malformed(f"--retries={text} is not possible: expected a number, 0 for the default", text)
    return int(digits)


def _expose(written: Written) -> Expose:
    ports = split_words(written.one_argument("<port>[/<protocol>]..."))
    return Expose(written.place, written.title, tuple(sorted(ports)))


def _user(written: Written) -> User:
    return User(written.place, written.title, written.one_argument("<user>[:<group>]"))


def _workdir(written: Written) -> Workdir:
    return Workdir(written.place, written.title, written.one_argument("<path>"))


def _volume(written: Written) -> Volume:
    arguments = written.one_argument("<path>...")
    words = json_words(arguments)
    paths = [path.strip(WHITE_SPACE) for path in (split_words(arguments) if words is None else words)]
    if not paths or not all(paths):
        raise Malformed("VOLUME needs paths that are not empty: VOLUME <path>...", arguments)
    return Volume(written.place, written.title, tuple(paths))


def _stop_signal(written: Written) -> StopSignal:
    return StopSignal(written.place, written.title, written.one_argument("<signal>"))


def _maintainer(written: Written) -> Maintainer:
    return Maintainer(written.place, written.title, written.one_argument("<name>"))


def _on_build(written: Written) -> OnBuild:
    """The trigger is read here, too, so that its mistakes are found where it is written."""
    text = written.one_argument("<instruction>")
    trigger = written.trigger
    if trigger.keyword in ("ONBUILD", "FROM", "MAINTAINER"):
        raise Malformed(f"ONBUILD {trigger.keyword} is not allowed: any other instruction is", text)
    read_instruction(trigger)
    documents = "".join(f"\n{document.content}{document.name}" for document in written.documents)
    return OnBuild(written.place, written.title, text + documents)


_READERS: dict[str, Callable[[Written], Instruction]] = {
    "ADD": read_add,
    "ARG": _arg,
    "CMD": _cmd,
    "COPY": read_copy,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "FROM": _from,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "MAINTAINER": _maintainer,
    "ONBUILD": _on_build,
    "RUN": read_run,
    "SHELL": _shell,
    "STOPSIGNAL": _stop_signal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
