"""The systemd units and their example configurations."""

import re
import shlex
from pathlib import Path

import pytest

from agent.commands.exit_codes import USAGE
from agent.settings.address import TcpAddress
from agent.settings.settings import Settings
from agent.standby.client import ROOT_SOCKET
from tests.clients.command import run
from tests.deploy.command_line import settings_of
from tests.deploy.files import DEPLOY

UNITS = DEPLOY / "systemd"
ROLES = ("agent", "tracker")
COMMAND = "/opt/shoal/bin/shoal"
# Left for whoever runs it to switch on.
_OPTIONAL = re.compile(r"^#([A-Z][A-Za-z]+=)", re.MULTILINE)


def unit_path(role: str) -> Path:
    return UNITS / f"shoal-{role}.service"


def entries(role: str) -> dict[str, dict[str, list[str]]]:
    """section -> key -> values, in order: systemd lets a key stand several times."""
    found: dict[str, dict[str, list[str]]] = {}
    section: dict[str, list[str]] = {}
    for line in unit_path(role).read_text().splitlines():
        if line.startswith("["):
            section = found.setdefault(line.strip("[]"), {})
        elif line and not line.startswith("#"):
            key, equals, value = line.partition("=")
            assert equals, f"neither section, comment nor assignment: {line}"
            section.setdefault(key, []).append(value)
    return found


def environment(role: str) -> dict[str, str]:
    """As the unit gives it to the service."""
    pairs = (value.partition("=") for value in entries(role)["Service"].get("Environment", []))
    return {name: value.replace("%S", "/var/lib") for name, _, value in pairs}


def settings_of_unit(role: str) -> Settings:
    [start] = entries(role)["Service"]["ExecStart"]
    command, *arguments = shlex.split(start)
    assert command == COMMAND
    assert arguments[0] == role
    return settings_of(arguments, environ=environment(role), file=UNITS / f"{role}.toml")


@pytest.mark.parametrize("role", ROLES)
def test_a_unit_and_its_example_configuration_are_what_the_command_takes(role: str) -> None:
    settings = settings_of_unit(role)
    assert settings.security.insecure_cluster


def test_the_examples_of_node_and_tracker_fit_together() -> None:
    node, tracker = settings_of_unit("agent"), settings_of_unit("tracker")
    assert node.tracker.url == f"http://{tracker.tracker.listen}"
    assert node.security.cluster == tracker.security.cluster
    assert node.proxy.listen == TcpAddress("127.0.0.1", 5050)


def test_the_two_examples_in_one_file_are_right_where_both_roles_share_a_machine(tmp_path: Path) -> None:
    tracker = (UNITS / "tracker.toml").read_text().partition("[security]")[0]
    listen = re.search(r"^listen = .*$", tracker, re.MULTILINE)
    assert listen
    both = tmp_path / "shoal.toml"
    both.write_text((UNITS / "agent.toml").read_text().replace("[tracker]", f"[tracker]\n{listen[0]}"))
    for role in ROLES:
        settings_of([role, "--config", "/etc/shoal/shoal.toml"], file=both)


def test_the_store_is_where_the_unit_may_write() -> None:
    service = entries("agent")["Service"]
    assert service["ProtectSystem"] == ["strict"]
    [state] = service["StateDirectory"]
    assert settings_of_unit("agent").node.data_dir == Path("/var/lib") / state


@pytest.mark.parametrize("role", ROLES)
def test_a_service_has_no_privileges(role: str) -> None:
    service = entries(role)["Service"]
    for key, value in {
        "DynamicUser": "yes",
        "NoNewPrivileges": "yes",
        "ProtectHome": "yes",
        "CapabilityBoundingSet": "",
    }.items():
        assert service[key] == [value], key


@pytest.mark.parametrize("role", ROLES)
def test_a_service_restarts_unless_its_configuration_is_mistaken(role: str) -> None:
    service = entries(role)["Service"]
    assert service["Restart"] == ["on-failure"]
    assert service["RestartPreventExitStatus"] == [str(USAGE)]


@pytest.mark.real("systemd")
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("options", ["", "on"])
async def test_systemd_itself_finds_nothing_wrong(role: str, options: str, tmp_path: Path) -> None:
    """With the lines that are commented out, too. The command stands somewhere else in a test."""
    command = tmp_path / "shoal"
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    text = unit_path(role).read_text().replace(COMMAND, str(command))
    unit = tmp_path / unit_path(role).name
    unit.write_text(_OPTIONAL.sub(r"\1", text) if options else text)
    verified = await run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", unit)
    assert verified.stdout + verified.stderr == ""


def test_the_standby_process_is_found_where_commands_look_and_by_its_user_alone() -> None:
    socket = (UNITS / "shoal-standby.socket").read_text()
    assert f"ListenStream={ROOT_SOCKET}\n" in socket
    assert "SocketMode=0600\n" in socket
    service = (UNITS / "shoal-standby.service").read_text()
    assert f"ExecStart={COMMAND} standby\n" in service
    assert "StandardInput=socket\n" in service
