"""ssh mounts: signatures of keys that never come into the container, asked for by the real ssh-add."""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.content.errors import InputError
from builder.run.request import ResolvedMount
from builder.run.ssh_agent import KeyAgent, framed, is_harmless, load_key
from tests.builder.run.small_root import Sandbox

KINDS = (("ed25519", "256"), ("ecdsa", "384"), ("rsa", "2048"))
TARGET = "/run/buildkit/ssh_agent.0"


def make_key(directory: Path, kind: str, bits: str, passphrase: str = "") -> Path:
    path = directory / kind
    words = [
        "ssh-keygen",
        "-q",
        "-t",
        kind,
        "-b",
        bits,
        "-a",
        "1",
        "-N",
        passphrase,
        "-C",
        kind,
        "-f",
        str(path),
    ]
    subprocess.run(words, check=True)
    return path


@pytest.fixture
def real_agent(sandbox: Sandbox) -> Iterator[Path]:
    path = sandbox.work.parent / "agent.sock"
    with subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL) as agent:
        while not path.exists():
            time.sleep(0.005)
        key = make_key(sandbox.work.parent, "ed25519", "256")
        environment = {**os.environ, "SSH_AUTH_SOCK": str(path)}
        subprocess.run(["ssh-add", "-q", key], check=True, env=environment)
        yield path
        agent.terminate()


async def ask(sandbox: Sandbox, text: str, agent: KeyAgent | Path, user: str = "") -> int:
    """With the machine's own programs in the container."""
    for name in ("lib", "lib64"):
        (sandbox.root / name).symlink_to(f"usr/{name}")
    return await sandbox.run(
        text,
        ResolvedMount("/usr", "bind", Path("/usr"), read_only=True),
        ResolvedMount(TARGET, "ssh", agent=agent, mode=0o600, uid=1000),
        environment=(("SSH_AUTH_SOCK", TARGET), ("PATH", "/usr/bin:/bin")),
        user=user,
    )


@pytest.mark.real("runc", "busybox", "ssh")
async def test_keys_sign_in_the_container_for_the_user_whom_the_socket_belongs_to(sandbox: Sandbox) -> None:
    keys = [make_key(sandbox.work.parent, kind, bits) for kind, bits in KINDS]
    for key in keys:
        (sandbox.root / key.name).write_bytes(key.with_suffix(".pub").read_bytes())
    text = "ssh-add -L | wc -l; for key in ed25519 ecdsa rsa; do ssh-add -T /$key && echo $key; done"
    status = await ask(sandbox, text, KeyAgent([load_key(key) for key in keys]), user="builder")
    assert (status, sandbox.said.split()) == (0, ["3", "ed25519", "ecdsa", "rsa"]), sandbox.stderr
    assert not (sandbox.root / "run").exists()


@pytest.mark.real("runc", "busybox", "ssh")
async def test_an_agent_of_the_machine_signs_but_cannot_be_changed(
    sandbox: Sandbox, real_agent: Path
) -> None:
    public = sandbox.work.parent / "ed25519.pub"
    (sandbox.root / "key.pub").write_bytes(public.read_bytes())
    status = await ask(sandbox, "ssh-add -T /key.pub && echo signed; ssh-add -D; ssh-add -L", real_agent)
    assert status == 0, sandbox.stderr
    assert sandbox.said.split() == ["signed", *public.read_text().split()]


def test_only_listing_and_signing_are_passed_on() -> None:
    assert [number for number in range(256) if is_harmless(bytes([number]) + b"x")] == [11, 13]
    assert not is_harmless(b"")
    assert framed(b"ab") == b"\0\0\0\2ab"


def test_what_is_no_question_is_answered_by_failure() -> None:
    agent = KeyAgent([])
    for message in (b"", b"\x0d", b"\x0d\0\0\0\x09x", b"\x0d" + bytes(8), b"\x11", b"\x0bmore"):
        assert agent.answer(message) == b"\x05"
    assert agent.answer(b"\x0b") == b"\x0c\0\0\0\0"


@pytest.mark.real("ssh")
def test_a_file_that_is_no_key_or_has_a_passphrase_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "none").write_text("hello")
    with pytest.raises(InputError, match="no private ssh key"):
        load_key(tmp_path / "none")
    with pytest.raises(InputError, match="cannot read the ssh key"):
        load_key(tmp_path / "missing")
    with pytest.raises(InputError, match=r"passphrase: add it to an agent"):
        load_key(make_key(tmp_path, "ed25519", "256", "secret"))
