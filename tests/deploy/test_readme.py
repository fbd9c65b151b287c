"""deploy/README.md and the comments of the files beside it promise nothing that is not there."""

import re
import tomllib
from pathlib import Path

import pytest

from agent.settings.field import FILE_VARIABLE
from agent.settings.fields import FIELD_OF, LIST_OF, SECTION_HELP, rows
from tests.deploy.command_line import known_flags
from tests.deploy.files import DEPLOY

README = (DEPLOY / "README.md").read_text()
# Flags of docker, docker compose, pip, systemctl, kubectl.
OTHERS_FLAGS = {
    *("--require-hashes", "--no-deps", "--no-index", "--no-build-isolation", "--now", "--name", "--network"),
    *("--build-arg", "--secret", "--build", "--docker-server", "--docker-username", "--docker-password"),
}
TEXTS = sorted(path for path in DEPLOY.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
# Of compose.yaml itself, not of the command.
OTHERS_VARIABLES = frozenset({"SHOAL_IMAGE"})
# A key in prose: `peer.listen`, `security.insecure_cluster = true`.
_KEY = re.compile(rf"(?<![\w./-])({'|'.join(SECTION_HELP)})\.([a-z_]+)\b(?!/)")
_FILE_ENDINGS = frozenset({"toml", "yaml", "service", "sock", "py", "env"})


def test_every_flag_in_the_readme_exists() -> None:
    flags = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", README))
    assert flags - OTHERS_FLAGS <= known_flags()
    assert flags >= OTHERS_FLAGS, "one of the others' flags is no longer in the text"


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(DEPLOY)))
def test_every_key_and_variable_that_a_file_names_exists(path: Path) -> None:
    text = path.read_text()
    keys = {f"{section}.{key}" for section, key in _KEY.findall(text) if key not in _FILE_ENDINGS}
    assert keys <= set(FIELD_OF)
    known = {row.environment for row in rows()} | {FILE_VARIABLE} | OTHERS_VARIABLES
    assert set(re.findall(r"\bSHOAL_[A-Z_]*[A-Z]\b", text)) <= known


def test_the_readme_names_keys_that_exist() -> None:
    found = {f"{section}.{key}" for section, key in _KEY.findall(README)}
    assert {"security.insecure_cluster", "peer.listen", "peer.advertise"} <= found
    assert "upstreams" in LIST_OF


def test_every_file_is_in_the_readme_and_every_file_in_the_readme_is_there() -> None:
    named = set(re.findall(r"(?<!/)\b(?:systemd|container|compose|kubernetes)/[\w.-]+\.?\w+", README))
    unnamed = {"compose/.env", "container/Dockerfile.dockerignore", "container/healthcheck.py"}
    there = {str(path.relative_to(DEPLOY)) for path in TEXTS} - {"README.md"}
    assert there - named <= unnamed
    assert {name for name in named if not (DEPLOY / name).exists()} <= {"compose/.env"}


def test_the_toml_in_the_readme_is_toml() -> None:
    blocks = re.findall(r"^```toml\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        tomllib.loads(block)
