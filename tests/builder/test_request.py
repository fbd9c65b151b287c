"""The texts of Docker's flags as values."""

import socket
from pathlib import Path

import pytest

from agent.content.errors import InputError
from builder.request import (
    parse_hosts,
    parse_pairs,
    parse_secrets,
    parse_ssh,
)


def test_a_build_argument_without_a_value_takes_the_environments() -> None:
    texts = ["A=1", "B=", "C", "D", "E=x=y"]
    assert parse_pairs(texts, "build-arg", {"C": "3"}) == {"A": "1", "B": "", "C": "3", "E": "x=y"}


@pytest.mark.parametrize("text", ["", "=x", "x"])
def test_a_pair_without_a_name_or_value_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="expected NAME=VALUE"):
        parse_pairs([text], "build-context")


def test_a_label_without_a_value_is_an_empty_one() -> None:
    assert parse_pairs(["a", "b=1", "c="], "label", lone="") == {"a": "", "b": "1", "c": ""}


def test_secrets_come_from_files_and_variables(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"from a file")
    texts = [f"id=a,src={tmp_path}/token", "id=b,env=B", "id=C", f"type=file,source={tmp_path}/token"]
    secrets = parse_secrets(texts, {"B": "from B", "C": "from C"})
    assert secrets == {"a": b"from a file", "b": b"from B", "C": b"from C", "token": b"from a file"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id=a,src=/nowhere", "cannot read /nowhere"),
        ("id=a,env=NOTHING", "NOTHING is not set"),
        ("id=a,colour=red", "not 'colour'"),
        ("nope", "--secret takes env=.*, type=..., not 'nope'"),
        ("id=a,src=x,env=y", "not both"),
        ("type=file", "expected id=NAME"),
    ],
)
def test_a_secret_that_is_none_is_refused(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        parse_secrets([text], {})


def test_a_secret_larger_than_buildkit_takes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(bytes(500 * 1024 + 1))
    with pytest.raises(InputError, match="more than 512000 bytes"):
        parse_secrets([f"id=a,src={tmp_path}/big"], {})


def test_an_ssh_agent_is_found_by_variable_or_path(scratch: Path) -> None:
    path = scratch / "agent"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        assert parse_ssh(["default", f"other={path}"], {"SSH_AUTH_SOCK": str(path)}) == {
            "default": path,
            "other": path,
        }
    with pytest.raises(InputError, match="SSH_AUTH_SOCK is not set"):
        parse_ssh(["default"], {})
    with pytest.raises(InputError, match="SSH_AUTH_SOCK is /nowhere, which is no socket"):
        parse_ssh(["default"], {"SSH_AUTH_SOCK": "/nowhere"})
    with pytest.raises(InputError, match="cannot read the ssh key"):
        parse_ssh([f"default={scratch}"], {})


def test_hosts_have_names_and_addresses() -> None:
    assert parse_hosts(["db:10.0.0.1", "six=::1", "v6:[::2]", "here:host-gateway"]) == (
        ("db", "10.0.0.1"),
        ("six", "::1"),
        ("v6", "::2"),
        ("here", "host-gateway"),
    )
    for text, problem in (
        ("db", "expected NAME:ADDRESS"),
        ("db:999.1.1.1", "'999.1.1.1' is neither an address nor host-gateway"),
    ):
        with pytest.raises(InputError, match=problem):
            parse_hosts([text])
