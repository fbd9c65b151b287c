"""--chmod, octal and symbolic: the same as chmod(1) says."""

import itertools
import subprocess
from pathlib import Path

import pytest

from agent.content.errors import InputError
from builder.layers.file_mode import parse_mode

SYMBOLIC = (
    "u=rwX,go=rX", "+x", "a-x", "go-rwx", "u+s", "g+s", "ug+s", "o+t", "+t", "a=", "u=", "u=g", "g=u-w", "o=u",
    "+X", "g=u+X", "u-w+x", "a=rwxst", "-s", "=t", "o+s", "u=rwxs,g=,o=x", "uo=r", "go=u", "a+rX-w",
)  # fmt: skip
MODES = (0o000, 0o644, 0o600, 0o755, 0o711, 0o4755, 0o2755, 0o6777)


def test_symbolic_modes_do_what_chmod_does(tmp_path: Path) -> None:
    cases = list(itertools.product(SYMBOLIC, MODES))
    for number, (_, mode) in enumerate(cases):
        (tmp_path / str(number)).touch()
        (tmp_path / str(number)).chmod(mode)
    script = "".join(f"chmod -- {text} {number}\n" for number, (text, _) in enumerate(cases))
    subprocess.run(["sh", "-c", f"umask 0\n{script}"], cwd=tmp_path, check=True)
    expected = {case: (tmp_path / str(number)).stat().st_mode & 0o7777 for number, case in enumerate(cases)}
    assert {(text, mode): parse_mode(text).of(mode, is_directory=False) for text, mode in cases} == expected


def test_the_sticky_bit_stays_where_nobody_speaks_of_it() -> None:
    """As in setmode(3), which BuildKit's library is: chmod(1) of GNU takes it away here."""
    assert parse_mode("a=rx").of(0o1777, is_directory=True) == 0o1555
    assert parse_mode("a-t").of(0o1777, is_directory=True) == 0o777


def test_a_directory_is_executable_for_a_large_x() -> None:
    assert parse_mode("a=rX").of(0o600, is_directory=True) == 0o555
    assert parse_mode("a=rX").of(0o600, is_directory=False) == 0o444


@pytest.mark.parametrize(("text", "mode"), [("755", 0o755), ("0644", 0o644), ("4755", 0o4755), ("0", 0)])
def test_an_octal_mode_is_the_mode(text: str, mode: int) -> None:
    assert parse_mode(text).of(0o123, is_directory=False) == mode


@pytest.mark.parametrize(
    "text", ["", "8", "77777", "rwx", "u=rwz", "u", "u=r,", ",", "-1", "0x1", "u=r g=r", "\u0667"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="expected an octal mode"):
        parse_mode(text)
