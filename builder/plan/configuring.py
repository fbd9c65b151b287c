"""Instructions that change the configuration: what each does to the image, and what the history says of it. PURE.

The texts of the history are BuildKit's, which prints Go values (go_text). Each function raises InputError.
"""

from agent.content.errors import InputError
from builder.dockerfile.instructions import (
    Arg,
    Cmd,
    Command,
    Entrypoint,
    Env,
    Expose,
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
from builder.dockerfile.ports import exposed_ports, port_warnings
from builder.plan import go_text
from builder.plan.signals import check_signal
from builder.plan.stage_work import StageWork
from builder.plan.steps import MakeDirectory


def configure(work: StageWork, instruction: Instruction) -> None:
    match instruction:
        case Arg():
            _arg(work, instruction)
        case Env() | Label():
            _pairs(work, instruction)
        case Cmd() | Entrypoint():
            _command(work, instruction)
        case Healthcheck():
            _healthcheck(work, instruction)
        case Workdir():
            _workdir(work, instruction)
        case Expose() | Volume():
            _listed(work, instruction)
        case OnBuild(trigger=trigger):
            work.image.runtime["OnBuild"] = [*work.image.runtime.get("OnBuild", []), trigger]
        case _:
            _single(work, instruction)


def _arg(work: StageWork, instruction: Arg) -> None:
    shown = []
    for name, default in instruction.pairs:
        given = work.plan.options.build_args.get(name)
        if given is not None:
            value: str | None = given
        elif default is not None:
            value = work.word(default, instruction.place)
        else:
            value = work.plan.scope.lookup(name)
        if value is not None:
            work.environment[name] = value
        work.arguments[name] = value
        shown.append(name if value is None else f"{name}={value}")
    work.image.tell(f"ARG {' '.join(shown)}")


def _pairs(work: StageWork, instruction: Env | Label) -> None:
    """All words of one instruction see the environment from before it."""
    place = instruction.place
    pairs = [(work.word(key, place), work.word(value, place)) for key, value in instruction.pairs]
    if isinstance(instruction, Label):
        work.image.add("Labels", dict(pairs))
    else:
        for key, value in pairs:
            work.image.set_env(key, value)
            work.environment[key] = value
    keyword = "ENV" if isinstance(instruction, Env) else "LABEL"
    work.image.tell(f"{keyword} {' '.join(f'{key}={value}' for key, value in pairs)}")


def _command(work: StageWork, instruction: Cmd | Entrypoint) -> None:
    words = list(with_shell(work, instruction.command))
    runtime = work.image.runtime
    if isinstance(instruction, Cmd):
        runtime["Cmd"] = words
        runtime["ArgsEscaped"] = True
        work.command_set = True
        work.image.tell(f"CMD {go_text.quoted_list(words)}")
        return
    runtime["Entrypoint"] = words
    if not work.command_set:
        runtime.pop("Cmd", None)  # that of the image below was meant for its own entry point
    work.image.tell(f"ENTRYPOINT {go_text.quoted_list(words)}")


def with_shell(work: StageWork, command: Command) -> tuple[str, ...]:
    return (*work.image.shell, *command.words) if command.shell else command.words


def _healthcheck(work: StageWork, instruction: Healthcheck) -> None:
    durations = (
        ("Interval", instruction.interval_ns),
        ("Timeout", instruction.timeout_ns),
        ("StartPeriod", instruction.start_period_ns),
        ("StartInterval", instruction.start_interval_ns),
    )
    test = _test(instruction.command)
    told = {"Test": test, **dict(durations), "Retries": instruction.retries}
    work.image.runtime["Healthcheck"] = {key: value for key, value in told.items() if value}
    shown = " ".join(f"{key}:{go_text.duration(value)}" for key, value in durations)
    text = f"{{Test:{go_text.plain_list(test)} {shown} Retries:{instruction.retries}}}"
    work.image.tell(f"HEALTHCHECK {text}")


def _test(command: Command | None) -> list[str]:
    if command is None:
        return ["NONE"]
    return ["CMD-SHELL" if command.shell else "CMD", *command.words]


def _workdir(work: StageWork, instruction: Workdir) -> None:
    written = work.word(instruction.path, instruction.place)
    path = work.absolute(written)
    # BuildKit (util/system/path.go) cleans a relative one alone.
    shown = written if written.startswith("/") else path
    work.image.runtime["WorkingDir"] = shown
    step = None
    if path != "/":
        text = work.shown(instruction)
        step = work.add_step(text, instruction.place.line, MakeDirectory(path, work.image.user))
    work.image.tell(f"WORKDIR {shown}", step)


def _listed(work: StageWork, instruction: Expose | Volume) -> None:
    place = instruction.place
    if isinstance(instruction, Expose):
        words = [word for port in instruction.ports for word in work.words(port, place)]
        ports = [port for word in words for port in exposed_ports(word)]
        work.plan.warnings += [warning for word in words for warning in port_warnings(word, place)]
        work.image.add("ExposedPorts", {port: {} for port in ports})
        work.image.tell(f"EXPOSE {go_text.plain_list(ports)}")
        return
    paths = [work.word(path, place) for path in instruction.paths]
    if not all(paths):
        raise InputError("a VOLUME's path is empty")
    work.image.add("Volumes", {path: {} for path in paths})
    work.image.tell(f"VOLUME {go_text.plain_list(paths)}")


def _single(work: StageWork, instruction: Instruction) -> None:
    match instruction:
        case User(user=user):
            work.image.runtime["User"] = work.word(user, instruction.place)
            work.image.tell(f"USER {work.image.user}")
        case StopSignal(signal=signal):
            name = work.word(signal, instruction.place)
            check_signal(name)
            work.image.runtime["StopSignal"] = name
            work.image.tell(f"STOPSIGNAL {name}")
        case Shell(words=words):
            work.image.runtime["Shell"] = list(words)
            work.image.tell(f"SHELL {go_text.plain_list(words)}")
        case Maintainer(name=name):
            work.image.author = name
            work.image.tell(f"MAINTAINER {name}")
        case _:
            raise InputError(f"{instruction.text.partition(' ')[0]} cannot stand here")
