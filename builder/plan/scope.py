"""What ARGs know before the first stage begins: platforms, defaults before FROM, `--build-arg`. PURE.

Precedence, from the highest: `--build-arg`, the ARG's own default, the global scope (which the platforms are in). The
proxies need no ARG: they are in RUN's environment, and in no key and no history, unless an ARG says otherwise.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from agent.content.errors import InputError
from builder.dockerfile.failure import error_at
from builder.dockerfile.instructions import Arg, Dockerfile, Place, Warning
from builder.dockerfile.words import expand
from builder.plan.options import PlanOptions

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
# Known to BuildKit itself, declared nowhere.
_OF_THE_BUILDER = ("BUILDKIT_", "SOURCE_DATE_EPOCH")


@dataclass(frozen=True, slots=True)
class GlobalScope:
    """`values`: what FROM may use, and what a stage's `ARG name` takes over. declared: by the file, before FROM."""

    values: Mapping[str, str]
    declared: frozenset[str]

    def lookup(self, name: str) -> str | None:
        return self.values.get(name)


def global_scope(dockerfile: Dockerfile, options: PlanOptions) -> GlobalScope:
    """Raises DockerfileError for a default that cannot be expanded."""
    values = {
        key: options.build_args.get(key, value) for key, value in _platform_arguments(dockerfile, options)
    }
    declared = set()
    for arg in dockerfile.global_args:
        for name, default in arg.pairs:
            declared.add(name)
            if name in options.build_args:
                values[name] = options.build_args[name]
            elif default is not None:
                values[name] = _expanded(dockerfile, arg.place, default, values)
    return GlobalScope(values, frozenset(declared))


def proxies(build_args: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """In both cases of each name, as programs differ in what they read."""
    given = {name.upper(): build_args[name] for name in sorted(build_args) if name.upper() in PROXIES}
    return tuple(
        (name, given[upper]) for upper in PROXIES if given.get(upper) for name in (upper, upper.lower())
    )


def unused_arguments(dockerfile: Dockerfile, options: PlanOptions, fired: Iterable[Arg]) -> Iterator[Warning]:
    """`fired`: the ARGs of ONBUILD triggers."""
    known = {name for name, _ in _platform_arguments(dockerfile, options)}
    own = [one for stage in dockerfile.stages for one in stage.instructions if isinstance(one, Arg)]
    for arg in (*dockerfile.global_args, *own, *fired):
        known.update(name for name, _ in arg.pairs)
    unused = [
        name
        for name in sorted(options.build_args)
        if name not in known and name.upper() not in PROXIES and not name.startswith(_OF_THE_BUILDER)
    ]
    if unused:
        yield Warning(
            "UnusedBuildArgs", f"One or more build-args [{' '.join(unused)}] were not consumed", Place(1, 1)
        )


def _platform_arguments(dockerfile: Dockerfile, options: PlanOptions) -> Iterator[tuple[str, str]]:
    for prefix, platform in (("BUILD", options.build_platform), ("TARGET", options.platform)):
        yield f"{prefix}PLATFORM", str(platform)
        yield f"{prefix}OS", platform.os
        yield f"{prefix}OSVERSION", ""
        yield f"{prefix}ARCH", platform.architecture
        yield f"{prefix}VARIANT", platform.variant or ""
    last = dockerfile.stages[-1].name if dockerfile.stages else None
    yield "TARGETSTAGE", options.target or last or "default"


def _expanded(dockerfile: Dockerfile, place: Place, word: str, values: Mapping[str, str]) -> str:
    try:
        return expand(word, values.get, dockerfile.escape)
    except InputError as error:
        raise error_at(dockerfile, place, str(error)) from None
