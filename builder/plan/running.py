"""RUN: what is executed, with which environment and mounts, and what the history says. PURE.

A RUN that is one here-document with `#!` is a file, which the shell is told to execute; of any other one the shell gets
the text (BuildKit's dispatchRun).
"""

from builder.dockerfile.here_documents import only_document, shell_text
from builder.dockerfile.instructions import Command, Run
from builder.dockerfile.words import expand_title
from builder.plan.run_mounts import run_mounts
from builder.plan.scope import proxies
from builder.plan.stage_work import StageWork
from builder.plan.steps import RunMount, RunOperation, ScriptFile, SecretMount, SshMount

_SCRIPTS = "/dev/pipes"


def run(work: StageWork, instruction: Run) -> None:
    """Raises InputError, DockerfileError."""
    mounts = run_mounts(work, instruction)
    script = _script(instruction.command)
    arguments = _arguments(work, instruction.command, script)
    options = work.plan.options
    operation = RunOperation(
        arguments=arguments,
        environment=tuple(_environment(work, mounts).items()),
        directory=work.image.directory,
        user=work.image.user,
        mounts=mounts,
        network=instruction.network or options.network,
        security=instruction.security or "sandbox",
        script=script,
        proxies=proxies(options.build_args),
        hosts=options.hosts,
    )
    step = work.add_step(_title(work, instruction, mounts), instruction.place.line, operation)
    work.image.tell(f"RUN {' '.join((*_shown_arguments(work), *arguments))} # buildkit", step)


def _script(command: Command) -> ScriptFile | None:
    document = only_document(command)
    if document is None or not document.content.startswith("#!"):
        return None
    return ScriptFile(document.name, document.content)


def _arguments(work: StageWork, command: Command, script: ScriptFile | None) -> tuple[str, ...]:
    if not command.shell:
        return command.words
    return (*work.image.shell, f"{_SCRIPTS}/{script.name}" if script else shell_text(command))


def _environment(work: StageWork, mounts: tuple[RunMount, ...]) -> dict[str, str]:
    sockets = [mount.target for mount in mounts if isinstance(mount, SshMount)]
    return {**({"SSH_AUTH_SOCK": sockets[0]} if sockets else {}), **work.environment}


def _title(work: StageWork, instruction: Run, mounts: tuple[RunMount, ...]) -> str:
    """What a secret puts into the environment is masked, though the plan has no secret's value."""
    hidden = {mount.env: "****" for mount in mounts if isinstance(mount, SecretMount) and mount.env}
    lookup = {**work.environment, **hidden}.get
    return expand_title(instruction.text, lookup, work.plan.dockerfile.escape)


def _shown_arguments(work: StageWork) -> list[str]:
    """`|2 A=b C=` of the ARGs so far, with what they are now, an ENV's value included."""
    pairs = [f"{name}={work.environment.get(name, value or '')}" for name, value in work.arguments.items()]
    return [f"|{len(pairs)}", *pairs] if pairs else []
