"""The network of one RUN: the machine's own, none, or one of its own behind NAT."""

from dataclasses import dataclass
from pathlib import Path

from builder.run.errors import RunError
from builder.run.name_resolution import RESOLV_CONF, RESOLVED_CONF, isolated_resolv_conf


@dataclass(slots=True)
class Network:
    """namespace: its path; "" a new, empty one; None the machine's own."""

    namespace: str | None

    def close(self) -> None:
        pass


def open_network(mode: str) -> Network:
    """mode: default, none or host."""
    if mode == "default":
        raise RunError("no isolated network yet")
    return Network(None if mode == "host" else "")


def clean_up_networks() -> None:
    pass


def resolver_file(isolated: bool) -> str:
    texts = [text for path in (RESOLV_CONF, RESOLVED_CONF) if (text := _text(path)) is not None]
    return isolated_resolv_conf(texts) if isolated else "".join(texts[:1])


def _text(path: str) -> str | None:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return None
