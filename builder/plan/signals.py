"""Which signals STOPSIGNAL may name: Linux's, with or without SIG, or a number (moby/sys/signal). PURE."""

from agent.content.errors import InputError

_TEXT = """
ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS TERM TRAP TSTP TTIN
TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ RTMIN RTMAX
"""
_NAMES = frozenset(_TEXT.split()) | {
    *(f"RTMIN+{number}" for number in range(1, 16)),
    *(f"RTMAX-{number}" for number in range(1, 15)),
}


def check_signal(text: str) -> None:
    """Raises InputError."""
    if text.isdecimal() and int(text) > 0:
        return
    if text.upper().removeprefix("SIG") not in _NAMES:
        raise InputError(f"unknown signal {text!r}: a number, or a name such as SIGTERM")
