"""The Kubernetes manifests: required fields, and that what the pods run is what the command takes."""

import json
import shutil
import tomllib
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.settings.address import TcpAddress
from agent.settings.mistake import SettingsError
from agent.settings.settings import Settings
from tests.clients.command import run
from tests.deploy.command_line import CONFIG_PATH, settings_of
from tests.deploy.files import DEPLOY, read_yaml

KUBERNETES = DEPLOY / "kubernetes"
# What the kubelet would put in place of $(NAME).
DOWNWARD = {"HOST_IP": "10.1.2.3", "NODE_NAME": "node-7"}
SOURCES = {"HOST_IP": "status.hostIP", "NODE_NAME": "spec.nodeName"}
API_VERSIONS = {
    "Namespace": "v1",
    "ConfigMap": "v1",
    "Service": "v1",
    "Deployment": "apps/v1",
    "DaemonSet": "apps/v1",
}
WORKLOADS = {"agent": ("DaemonSet", "shoal-agent"), "tracker": ("Deployment", "shoal-tracker")}
ROLES = tuple(WORKLOADS)


def kustomization() -> Any:
    [document] = read_yaml(KUBERNETES / "kustomization.yaml")
    return document


def objects() -> dict[tuple[str, str], Any]:
    files = (KUBERNETES / name for name in kustomization()["resources"])
    documents = chain.from_iterable(read_yaml(file) for file in files)
    return {(document["kind"], document["metadata"]["name"]): document for document in documents}


def pod(role: str) -> Any:
    return objects()[WORKLOADS[role]]["spec"]["template"]["spec"]


def container(role: str) -> Any:
    [only] = pod(role)["containers"]
    return only


def expanded(role: str) -> list[str]:
    """The arguments as the container gets them."""
    names = [variable["name"] for variable in container(role)["env"]]
    arguments = []
    for argument in container(role)["args"]:
        for name in names:
            argument = argument.replace(f"$({name})", DOWNWARD[name])
        assert "$(" not in argument, argument
        arguments.append(argument)
    return arguments


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    """The ConfigMap's shoal.toml, as a file."""
    file = tmp_path / "shoal.toml"
    file.write_text(objects()["ConfigMap", "shoal"]["data"]["shoal.toml"])
    return file


def settings_of_pod(role: str, configuration: Path) -> Settings:
    return settings_of(expanded(role), file=configuration)


def test_every_file_is_an_object_of_a_known_kind_in_the_namespace() -> None:
    files = {file.name for file in KUBERNETES.glob("*.yaml")} - {"kustomization.yaml"}
    assert files == set(kustomization()["resources"])
    for (kind, name), document in objects().items():
        assert document["apiVersion"] == API_VERSIONS[kind]
        if kind != "Namespace":
            assert document["metadata"]["namespace"] == kustomization()["namespace"], name


@pytest.mark.parametrize("role", ROLES)
def test_a_pod_belongs_to_its_controller(role: str) -> None:
    spec = objects()[WORKLOADS[role]]["spec"]
    assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]


@pytest.mark.parametrize("role", ROLES)
def test_the_command_takes_the_arguments_and_the_configuration(role: str, configuration: Path) -> None:
    assert expanded(role)[0] == role
    settings = settings_of_pod(role, configuration)
    assert settings.security.insecure_cluster
    for variable in container(role)["env"]:
        assert variable["valueFrom"]["fieldRef"]["fieldPath"] == SOURCES[variable["name"]]


@pytest.mark.parametrize("role", ROLES)
def test_without_accepting_an_insecure_cluster_nothing_starts(role: str, configuration: Path) -> None:
    text = configuration.read_text()
    assert "\ninsecure_cluster = true\n" in text
    configuration.write_text(text.replace("\ninsecure_cluster = true\n", "\n"))
    with pytest.raises(SettingsError, match="insecure_cluster = true"):
        settings_of_pod(role, configuration)


def test_the_mirror_is_on_the_nodes_loopback_and_peers_are_told_the_nodes_address(
    configuration: Path,
) -> None:
    settings = settings_of_pod("agent", configuration)
    assert pod("agent")["hostNetwork"] is True
    assert settings.proxy.listen == TcpAddress("127.0.0.1", 5050)
    assert settings.peer.advertise.host == DOWNWARD["HOST_IP"]
    assert settings.node.name == DOWNWARD["NODE_NAME"]


@pytest.mark.parametrize("role", ROLES)
def test_ports_are_those_that_the_process_listens_on(role: str, configuration: Path) -> None:
    settings = settings_of_pod(role, configuration)
    listens = {"tracker": settings.tracker.listen}
    if role == "agent":
        assert settings.admin.metrics_listen
        listens = {
            "mirror": settings.proxy.listen,
            "peer": settings.peer.listen,
            "metrics": settings.admin.metrics_listen,
        }
    ports = {port["name"]: port["containerPort"] for port in container(role)["ports"]}
    assert ports == {
        name: address.port for name, address in listens.items() if isinstance(address, TcpAddress)
    }
    for port in container(role)["ports"]:
        assert port.get("hostPort", port["containerPort"]) == port["containerPort"]  # the host's network
    annotations = objects()[WORKLOADS[role]]["spec"]["template"]["metadata"]["annotations"]
    assert int(annotations["prometheus.io/port"]) == ports["metrics" if role == "agent" else "tracker"]


def test_agents_find_the_tracker_by_its_service(configuration: Path) -> None:
    service = objects()["Service", "shoal-tracker"]
    [port] = service["spec"]["ports"]
    host = f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc"
    assert settings_of_pod("agent", configuration).tracker.url == f"http://{host}:{port['port']}"
    assert pod("agent")["dnsPolicy"] == "ClusterFirstWithHostNet"
    labels = objects()[WORKLOADS["tracker"]]["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"] == labels
    # Headless: the port is not translated, so the two must be one.
    assert service["spec"]["clusterIP"] == "None"
    assert port["targetPort"] in {p["name"] for p in container("tracker")["ports"]}
    assert port["port"] == container("tracker")["ports"][0]["containerPort"]


@pytest.mark.parametrize("role", ROLES)
def test_probes_ask_a_port_of_the_container_for_what_it_answers(role: str) -> None:
    names = {port["name"] for port in container(role)["ports"]}
    probes = [value["httpGet"] for key, value in container(role).items() if key.endswith("Probe")]
    assert len(probes) >= 2
    for probe in probes:
        assert probe["port"] in names
        wanted = {"agent": ("/v2/", "127.0.0.1"), "tracker": ("/healthz", None)}
        assert (probe["path"], probe.get("host")) == wanted[role]


@pytest.mark.parametrize("role", ROLES)
def test_containers_are_confined_and_have_limits(role: str) -> None:
    assert pod(role)["securityContext"]["runAsNonRoot"] is True
    assert pod(role)["automountServiceAccountToken"] is False
    for each in (*pod(role)["containers"], *pod(role).get("initContainers", [])):
        context = each["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert context["capabilities"]["drop"] == ["ALL"]
        assert each["resources"]["requests"]
        assert "memory" in each["resources"]["limits"]


@pytest.mark.parametrize("role", ROLES)
def test_mounts_have_volumes_and_the_configuration_is_where_the_flag_says(role: str) -> None:
    volumes = {volume["name"]: volume for volume in pod(role)["volumes"]}
    mounts = {mount["mountPath"]: mount["name"] for mount in container(role)["volumeMounts"]}
    assert set(mounts.values()) == set(volumes)
    assert volumes[mounts[str(CONFIG_PATH.parent)]]["configMap"]["name"] == "shoal"


def test_the_store_outlives_the_pod_and_belongs_to_its_user(configuration: Path) -> None:
    dockerfile = (DEPLOY / "container/Dockerfile").read_text()
    [store] = [volume for volume in pod("agent")["volumes"] if "hostPath" in volume]
    [mount] = [mount for mount in container("agent")["volumeMounts"] if mount["name"] == store["name"]]
    assert f"SHOAL_NODE_DATA_DIR={mount['mountPath']}" in dockerfile
    user = pod("agent")["securityContext"]["runAsUser"]
    assert f"USER {user}:{user}" in dockerfile
    [init] = pod("agent")["initContainers"]
    assert init["command"] == ["chown", f"{user}:{user}", mount["mountPath"]]


def test_credentials_are_mounted_where_the_configuration_looks(configuration: Path) -> None:
    [secret] = [volume for volume in pod("agent")["volumes"] if "secret" in volume]
    [mount] = [m for m in container("agent")["volumeMounts"] if m["name"] == secret["name"]]
    [item] = secret["secret"]["items"]
    expected = Path(mount["mountPath"]) / item["path"]
    assert settings_of_pod("agent", configuration).credentials.docker_config == (expected,)


def test_every_image_is_the_one_that_the_kustomization_names() -> None:
    [image] = kustomization()["images"]
    for role in ROLES:
        for each in (*pod(role)["containers"], *pod(role).get("initContainers", [])):
            assert each["image"] == image["name"]
    assert isinstance(image["newTag"], str)


def test_containerd_is_pointed_at_the_mirror_and_never_pushes_there(configuration: Path) -> None:
    hosts = tomllib.loads((KUBERNETES / "hosts.toml").read_text())
    mirror = settings_of_pod("agent", configuration).proxy.listen
    assert hosts == {"host": {f"http://{mirror}": {"capabilities": ["pull", "resolve"]}}}


@pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not here")
async def test_kubectl_puts_them_together() -> None:
    built = await run("kubectl", "kustomize", KUBERNETES)
    documents = list(yaml.safe_load_all(built.stdout))
    assert {(d["kind"], d["metadata"]["name"]) for d in documents} == set(objects())
    [image] = kustomization()["images"]
    assert json.dumps(documents).count(f"{image['newName']}:{image['newTag']}") == 3
