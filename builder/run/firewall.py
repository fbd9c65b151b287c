"""The rules that let one container out: masquerading, and forwarding where the machine forbids it (as with Docker).

With iptables the rules stand in the tables that may drop packets, since no other table can overrule a drop. Each names
the container's link or address, so that adding and removing are one text. Without iptables nothing drops what nft's own
table lets through.
"""

import subprocess
from dataclasses import dataclass

from builder.run.address_pool import Block
from builder.run.errors import RunError
from builder.run.programs import find_program

_SECONDS = 30.0
_HELP = "on Debian and Ubuntu: apt-get install iptables; or build with --network=host"


@dataclass(frozen=True, slots=True)
class Firewall:
    """program: iptables-restore or nft, where it is."""

    program: str

    @property
    def is_nft(self) -> bool:
        return self.program.endswith("nft")

    def allow(self, block: Block) -> None:
        """Raises RunError."""
        if failure := self._apply(nft_table(block) if self.is_nft else iptables_rules(block, "add")):
            raise RunError(f"the network of RUN cannot be set up by {self.program}: {failure}; {_HELP}")

    def forbid(self, block: Block) -> None:
        """Also where only some, or none, of the rules are there."""
        if self.is_nft:
            self._apply(nft_removal(block))
        elif self._apply(iptables_rules(block, "remove")):
            for table, rule in _rules(block):
                self._apply(f"*{table}\n-D {rule}\nCOMMIT\n")

    def _apply(self, text: str) -> str:
        """What went wrong; "" if nothing did."""
        words = ["-f", "-"] if self.is_nft else ["--noflush", "--wait", "20"]
        done = subprocess.run(
            [self.program, *words], input=text.encode(), capture_output=True, timeout=_SECONDS, check=False
        )
        return done.stderr.decode(errors="replace").strip() if done.returncode != 0 else ""


def find_firewall() -> Firewall:
    for name in ("iptables-restore", "nft"):
        if program := find_program(name):
            return Firewall(program)
    raise RunError(f"RUN with a network of its own needs iptables or nft; {_HELP}")


def iptables_rules(block: Block, change: str) -> str:
    """Input of iptables-restore: `add` puts them before whatever is there, `remove` takes them away."""
    letter = "-I" if change == "add" else "-D"
    texts = (f"*{table}\n{letter} {rule}\nCOMMIT\n" for table, rule in _rules(block))
    return "".join(texts)


def _rules(block: Block) -> tuple[tuple[str, str], ...]:
    return (
        ("nat", f"POSTROUTING -s {block.address}/32 ! -o {block.link} -j MASQUERADE"),
        ("filter", f"FORWARD -i {block.link} -j ACCEPT"),
        ("filter", f"FORWARD -o {block.link} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"),
    )


def nft_table(block: Block) -> str:
    return f"""\
table ip {block.link} {{
    chain out {{
        type nat hook postrouting priority 100; policy accept;
        ip saddr {block.address} oifname != "{block.link}" masquerade
    }}
}}
"""


def nft_removal(block: Block) -> str:
    """Adding first makes the removal of what is not there no error."""
    return f"table ip {block.link} {{ }}\ndelete table ip {block.link}\n"
