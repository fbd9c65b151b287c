"""compose.yaml: what its services run is what the command takes, on one machine and, with example.env, on several."""

import re
from typing import Any

import pytest

from agent.settings.settings import Settings
from tests.deploy.command_line import settings_of
from tests.deploy.files import DEPLOY, read_yaml

COMPOSE = DEPLOY / "compose"
_VARIABLE = re.compile(r"\$\{([A-Z_]+):-([^}]*)\}")
# Of the compose specification, what is used here.
SERVICE_KEYS = {
    *("image", "build", "command", "environment", "healthcheck", "restart"),
    *("network_mode", "read_only", "cap_drop", "security_opt", "volumes", "tmpfs"),
}


def compose() -> Any:
    [document] = read_yaml(COMPOSE / "compose.yaml")
    return document


def example(*, with_optional: bool = False) -> dict[str, str]:
    text = (COMPOSE / "example.env").read_text()
    if with_optional:
        text = re.sub(r"^#(SHOAL_)", r"\1", text, flags=re.MULTILINE)
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def filled(value: Any, variables: dict[str, str]) -> Any:
    """As compose does: `${NAME:-default}`."""
    if isinstance(value, dict):
        return {key: filled(inner, variables) for key, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, variables) for inner in value]
    if isinstance(value, str):
        return _VARIABLE.sub(lambda match: variables.get(match[1]) or match[2], value)
    return value


def service(name: str, variables: dict[str, str] | None = None) -> Any:
    return filled(compose()["services"][name], variables or {})


def settings_of_service(name: str, variables: dict[str, str] | None = None) -> Settings:
    wanted = service(name, variables)
    assert wanted["command"][0] == name
    return settings_of(wanted["command"], environ=wanted["environment"])


def test_the_file_has_the_form_of_a_compose_file() -> None:
    document = compose()
    assert set(document) == {"name", "x-service", "services", "volumes"}
    assert set(document["services"]) == {"tracker", "agent"}
    for name, wanted in document["services"].items():
        assert set(wanted) <= SERVICE_KEYS, name
        assert all(isinstance(value, str) for value in wanted["environment"].values()), name
        assert wanted["network_mode"] == "host"
        assert wanted["read_only"] is True
        assert (COMPOSE / wanted["build"]["context"] / wanted["build"]["dockerfile"]).is_file()


def test_on_one_machine_everything_stays_on_loopback() -> None:
    agent, tracker = settings_of_service("agent"), settings_of_service("tracker")
    assert agent.tracker.url == f"http://{tracker.tracker.listen}"
    assert not agent.security.insecure_cluster
    assert not tracker.security.insecure_cluster
    assert str(agent.proxy.listen) == "127.0.0.1:5050"


def test_on_several_machines_the_example_reaches_from_one_to_the_other() -> None:
    agent = settings_of_service("agent", example())
    tracker = settings_of_service("tracker", example(with_optional=True))
    assert agent.tracker.url == f"http://{tracker.tracker.listen}"
    assert agent.security.cluster == tracker.security.cluster
    assert not agent.peer.advertise.is_loopback


def test_the_example_sets_only_what_the_compose_file_reads() -> None:
    read = {name for name, _ in _VARIABLE.findall((COMPOSE / "compose.yaml").read_text())}
    assert set(example(with_optional=True)) == read


@pytest.mark.parametrize("several", [False, True])
def test_health_is_asked_where_the_service_listens(several: bool) -> None:
    variables = example(with_optional=True) if several else {}
    agent, tracker = (settings_of_service(name, variables) for name in ("agent", "tracker"))
    assert service("agent", variables)["healthcheck"]["test"][-1] == f"http://{agent.proxy.listen}/v2/"
    asked = service("tracker", variables)["healthcheck"]["test"][-1]
    assert asked == f"http://{tracker.tracker.listen}/healthz"


def test_the_store_is_on_a_volume() -> None:
    [volume] = service("agent")["volumes"]
    name, target = volume.split(":")
    assert name in compose()["volumes"]
    assert f"SHOAL_NODE_DATA_DIR={target}" in (DEPLOY / "container/Dockerfile").read_text()
