"""`BuildRequest`: what is to be built, from what, and where it goes; and the texts of Docker's flags as such values."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from agent.content.errors import InputError
from agent.content.platform import Platform
from builder.fields import parse_fields
from builder.layers.recipes import LayerCompression
from builder.output import Output
from builder.run.name_resolution import HOST_GATEWAY
from builder.run.ssh_agent import KeyAgent, load_key

MAX_SECRET_BYTES = 500 * 1024  # BuildKit's


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """context: a directory, `-`, a git or http(s) URL. file: the Dockerfile, `-` standard input, None the usual one.

    secrets: by id, their bytes. ssh: by id, an agent's socket, or keys. contexts: by name, as `--build-context` has
    them. epoch: seconds, of every time in the image; None: the newest base image's, so that the same input gives the
    same digest. keep_times: the real ones instead. platforms: several make an index.
    """

    context: str = "."
    file: str | None = None
    tags: tuple[str, ...] = ()
    target: str | None = None
    build_args: Mapping[str, str] = field(default_factory=dict)
    contexts: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    ssh: Mapping[str, KeyAgent | Path] = field(default_factory=dict)
    platforms: tuple[Platform, ...] = ()
    network: str = "default"
    hosts: tuple[tuple[str, str], ...] = ()
    allow: frozenset[str] = frozenset()
    no_cache: bool | tuple[str, ...] = False
    pull: bool = False
    outputs: tuple[Output, ...] = (Output("store"),)
    squash: bool = False
    compression: LayerCompression = "gzip"
    epoch: int | None = None
    keep_times: bool = False


def parse_pairs(
    texts: Iterable[str],
    flag: str,
    environment: Mapping[str, str] | None = None,
    *,
    lone: str | None = None,
) -> dict[str, str]:
    """`NAME=VALUE`; a lone NAME takes its value from `environment` where that is given, and goes where it has none;
    else it is `lone`, or refused where that is None."""
    pairs = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or (not equals and environment is None and lone is None):
            raise InputError(f"--{flag} {text[:100]!r}: expected NAME=VALUE")
        if equals:
            pairs[name] = value
        elif lone is not None:
            pairs[name] = lone
        elif environment is not None and name in environment:
            pairs[name] = environment[name]
    return pairs


def parse_secrets(texts: Iterable[str], environment: Mapping[str, str]) -> dict[str, bytes]:
    """`id=NAME[,src=FILE|,env=VARIABLE]`; without either the variable NAME, else the file NAME. Raises InputError."""
    secrets = {}
    for text in texts:
        fields = parse_fields(text, "secret", {"type", "id", "src", "source", "env"})
        source = fields.get("src") or fields.get("source")
        name = fields.get("id") or Path(source or "").name or fields.get("env", "")
        if not name:
            raise InputError(f"--secret {text[:100]!r}: expected id=NAME,src=FILE or id=NAME,env=VARIABLE")
        variable = fields.get("env") or (name if source is None and name in environment else None)
        if source is not None and "env" in fields:
            raise InputError(f"--secret id={name}: either a file (src) or a variable (env), not both")
        if fields.get("type") == "env" and source is not None:
            variable, source = source, None
        if variable is not None:
            if variable not in environment:
                raise InputError(f"the variable {variable} is not set, for --secret id={name}")
            secrets[name] = os.fsencode(environment[variable])
        else:
            secrets[name] = _secret_file(name, Path(source or name))
    return secrets


def _secret_file(name: str, path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            body = file.read(MAX_SECRET_BYTES + 1)
    except OSError as error:
        raise InputError(f"cannot read {path} ({error.strerror}), for --secret id={name}") from None
    if len(body) > MAX_SECRET_BYTES:
        raise InputError(f"{path} has more than {MAX_SECRET_BYTES} bytes, for --secret id={name}")
    return body


def parse_ssh(texts: Iterable[str], environment: Mapping[str, str]) -> dict[str, KeyAgent | Path]:
    """`default`, or `ID=SOCKET|KEY[,KEY]`: the caller's SSH_AUTH_SOCK, another agent, or key files."""
    agents: dict[str, KeyAgent | Path] = {}
    for text in texts:
        name, _, path = text.partition("=")
        variable = "" if path else environment.get("SSH_AUTH_SOCK", "")
        path = path or variable
        if not path or (variable and not Path(variable).is_socket()):
            found = f"is {variable}, which is no socket" if variable else "is not set"
            raise InputError(
                f"--ssh {text}: no ssh agent: SSH_AUTH_SOCK {found}; start one, or give ID=SOCKET or ID=KEY"
            )
        if Path(path).is_socket():
            agents[name or "default"] = Path(path).absolute()
        else:
            agents[name or "default"] = KeyAgent([load_key(Path(key)) for key in path.split(",")])
    return agents


def parse_hosts(texts: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """`NAME:ADDRESS` or `NAME=ADDRESS`; the address `host-gateway` is this machine. Raises InputError."""
    hosts = []
    for text in texts:
        separator = "=" if "=" in text else ":"
        name, found, address = text.partition(separator)
        if not found or not name or not address or any(one.isspace() for one in text):
            raise InputError(f"--add-host {text[:100]!r}: expected NAME:ADDRESS")
        hosts.append((name, _address(address.strip("[]"), text)))
    return tuple(hosts)


def _address(address: str, text: str) -> str:
    if address == HOST_GATEWAY:
        return address
    try:
        ip_address(address)
    except ValueError:
        raise InputError(
            f"--add-host {text[:100]!r}: {address[:100]!r} is neither an address nor {HOST_GATEWAY}"
        ) from None
    return address
