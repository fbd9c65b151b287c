"""The table of everything that can be configured. PURE.

A row gives a key its section, kind, default and help. From these rows alone follow the parsing of the file, the names
of environment variables and flags, `shoal config`, the commented default file and docs/configuration.md; the classes
in `settings.py` have the same names (a test compares them). A new key is a row here and an attribute there; what a row
consists of is in field.py.
"""

from collections.abc import Mapping
from pathlib import Path

from agent.content.chunk_map import LARGEST_CHUNK_BYTES
from agent.content.reference import DOCKER_HUB
from agent.settings import kind as k
from agent.settings.field import Field, ListField, Machine


def _host_name(_section: Mapping[str, object], machine: Machine) -> object:
    return machine.host_name


def _data_dir(_section: Mapping[str, object], machine: Machine) -> object:
    return Path("/var/lib/shoal") if machine.is_root else machine.home / ".local/share/shoal"


def _standby_socket(_section: Mapping[str, object], machine: Machine) -> object:
    return Path("/run/shoal/standby.sock") if machine.is_root else None


def _upstream_url(element: Mapping[str, object], _machine: Machine) -> object:
    registry = element.get("registry")
    return "https://registry-1.docker.io" if registry == DOCKER_HUB else f"https://{registry}"


SECTION_HELP = {
    "node": "This node, as the others know it.",
    "proxy": "The endpoint for Docker, containerd, podman and CRI-O.",
    "peer": "The link to the other nodes: who may call, how much may flow. A rate counts bytes per second.",
    "tracker": "The directory that brings nodes together.",
    "store": "The image store on this node's disk.",
    "push": "Images that are pushed to this cluster: `docker push 127.0.0.1:5050/team/app:1`.",
    "build": "`shoal build`, and what builders of this cluster take from each other.",
    "credentials": "Where passwords for registries are found. They never stand in this configuration.",
    "admin": "What operators and monitoring talk to.",
    "standby": "A process that has everything loaded, from which commands start in milliseconds.",
    "log": "The log, on standard error.",
    "security": "Who belongs together, and what is allowed without TLS.",
}

FIELDS: tuple[Field, ...] = (
    Field(
        "node", "name", k.NAME, None, "Name of this node in logs and listings.", _host_name, "the host name"
    ),
    Field("node", "zone", k.OPTIONAL_NAME, "", "Network zone. A blob crosses into a zone about once."),
    Field("node", "rack", k.OPTIONAL_NAME, "", "Rack within the zone. Near neighbours are preferred."),
    Field(
        "node",
        "data_dir",
        k.PATH,
        None,
        "Where the store and the admin socket live.",
        _data_dir,
        "/var/lib/shoal for root, else ~/.local/share/shoal",
    ),
    Field("proxy", "listen", k.ADDRESS, "127.0.0.1:5050", "Where clients reach the mirror."),
    Field(
        "proxy",
        "default_upstream",
        k.REGISTRY,
        None,
        "Registry of requests that name none. Docker's registry-mirrors never name one: docker.io is meant.",
        default_note="docker.io, or the first of the upstreams where docker.io is not among them",
        optional=True,
    ),
    Field("peer", "listen", k.TCP_ADDRESS, "127.0.0.1:5051", "Where other nodes reach this one."),
    Field(
        "peer",
        "advertise",
        k.TCP_ADDRESS,
        None,
        "The address that other nodes are told. Needed where peer.listen is a wildcard such as 0.0.0.0.",
        default_note="peer.listen",
        optional=True,
    ),
    Field("peer", "upload_rate", k.RATE, None, "Most that is sent to other nodes.", optional=True),
    Field("peer", "download_rate", k.RATE, None, "Most that is taken from other nodes.", optional=True),
    Field(
        "peer",
        "upload_slots",
        k.whole_number(1, 64),
        "2",
        "Chunks on their way out at a time, for each blob.",
    ),
    Field(
        "peer",
        "download_slots",
        k.whole_number(1, 64),
        "2",
        "Chunks on their way in at a time, for each blob.",
    ),
    Field(
        "peer",
        "neighbours",
        k.whole_number(1, 200),
        "8",
        "Nodes to exchange with, for each blob; more where thousands share it.",
    ),
    Field(
        "peer",
        "in_flight_bytes",
        k.size(LARGEST_CHUNK_BYTES),
        "64MiB",
        "Most bytes of chunks in memory at a time.",
    ),
    Field(
        "tracker",
        "url",
        k.OPTIONAL_URL,
        "",
        "The tracker to report to. Empty: none, or the one inside the process of `shoal up`.",
    ),
    Field("tracker", "listen", k.ADDRESS, "127.0.0.1:5052", "Where the tracker itself listens."),
    Field("store", "quota", k.size(1), None, "Most bytes the store may take.", optional=True),
    Field("store", "floor_free", k.size(), "1GB", "Bytes of the disk that the store leaves free."),
    Field(
        "store",
        "linger",
        k.DURATION,
        "30s",
        "How long a download goes on after the last client left. What it has stays for the next pull.",
    ),
    Field(
        "push",
        "replicas",
        k.whole_number(1, 100),
        "1",
        "Nodes that hold a push when it is answered.",
    ),
    Field(
        "push",
        "replica_timeout",
        k.DURATION,
        "60s",
        "How long a push waits for its copies; then it is an error, and the tag is as before.",
    ),
    Field(
        "push",
        "upload_expiry",
        k.DURATION,
        "24h",
        "How long an upload that brings no byte is kept, so that its client can go on.",
    ),
    Field("push", "delete_tags", k.BOOLEAN, "false", "Whether clients may delete tags."),
    Field("push", "delete_manifests", k.BOOLEAN, "false", "Whether clients may delete manifests."),
    Field("push", "delete_blobs", k.BOOLEAN, "false", "Whether clients may delete blobs."),
    Field("build", "share_cache", k.BOOLEAN, "true", "Whether the cluster is told what build steps came to."),
    Field(
        "build",
        "trusted_builders",
        k.BUILDERS,
        "",
        "Nodes whose build results are taken (`shoal status` shows a node's id); * is every node of the cluster.",
        default_note="this node alone",
    ),
    Field("build", "keep_storage", k.size(), "20GB", "Unpacked layers that builds keep for the next ones."),
    Field(
        "credentials",
        "docker_config",
        k.PATHS,
        "",
        "Files in the form of Docker's config.json or podman's auth.json.",
        default_note="the usual places of Docker and podman",
    ),
    Field(
        "admin",
        "socket",
        k.PATH,
        None,
        "Unix socket for `shoal status` and the other commands.",
        default_note="shoal.sock in node.data_dir",
        optional=True,
    ),
    Field(
        "admin",
        "metrics_listen",
        k.ADDRESS,
        None,
        "Where /metrics is served.",
        default_note="on proxy.listen",
        optional=True,
    ),
    Field(
        "standby",
        "socket",
        k.PATH,
        None,
        "Where commands find it; an agent starts it when they come, for its own user. none: nowhere. Commands look "
        "at the environment alone (SHOAL_STANDBY_SOCKET), since they read no file so early.",
        _standby_socket,
        "/run/shoal/standby.sock for root, else none",
        optional=True,
    ),
    Field("log", "level", k.choice("debug", "info", "warning", "error"), "info", "The least that is logged."),
    Field(
        "log",
        "format",
        k.choice("text", "json"),
        "text",
        "One line an event: for people, or JSON for machines.",
    ),
    Field("security", "cluster", k.NAME, "default", "Nodes of different clusters do not talk to each other."),
    Field(
        "security",
        "insecure_cluster",
        k.BOOLEAN,
        "false",
        "Allow listening beyond loopback although nothing is encrypted or authenticated yet: whoever reaches the "
        "ports can read every image, push any, and use this node's access to registries. For trusted networks alone.",
    ),
)

LISTS: tuple[ListField, ...] = (
    ListField(
        "tags",
        (
            Field("tags", "pattern", k.TAG_PATTERN, "*", "Glob over REGISTRY/NAME:TAG; * also matches /."),
            Field("tags", "max_age", k.DURATION, "60s", "How long an answer is reused without asking again."),
            Field(
                "tags",
                "stale_if_error",
                k.BOOLEAN,
                "true",
                "Whether an older answer is served (with a Warning header) while the registry cannot be asked.",
            ),
        ),
        'PATTERN=MAX_AGE,... such as "docker.io/library/*:*=5m,*=60s"',
        "*=60s",
        "How long answers about tags may be reused. The first pattern that matches decides; where none does, the "
        "defaults hold.",
    ),
    ListField(
        "upstreams",
        (
            Field(
                "upstreams",
                "registry",
                k.REGISTRY,
                None,
                "The registry as image names spell it.",
                required=True,
            ),
            Field(
                "upstreams",
                "url",
                k.URL,
                None,
                "Where it is really asked.",
                _upstream_url,
                "https://REGISTRY; for docker.io https://registry-1.docker.io",
            ),
            Field(
                "upstreams",
                "ca_file",
                k.PATH,
                None,
                "PEM certificates to trust for it.",
                optional=True,
                default_note="the system's",
            ),
            Field(
                "upstreams",
                "allow_private_redirects",
                k.BOOLEAN,
                "false",
                "Follow its redirects into private and loopback networks.",
            ),
        ),
        'REGISTRY or REGISTRY=URL,... such as "docker.io=http://127.0.0.1:5000,quay.io"',
        "docker.io,quay.io,ghcr.io,gcr.io,registry.k8s.io,registry.gitlab.com,mcr.microsoft.com,public.ecr.aws",
        "The registries that may be asked; images of others are refused. A list given replaces the whole default.",
    ),
    ListField(
        "push_through",
        (
            Field(
                "push_through",
                "prefix",
                k.PUSH_PREFIX,
                None,
                "The cluster's own repositories that are meant: this one and all below it; * means all.",
                required=True,
            ),
            Field(
                "push_through",
                "target",
                k.PUSH_TARGET,
                None,
                "Where their images go: a registry, and maybe the beginning of a name there. What follows the prefix "
                "is added; below a registry alone the whole name stands.",
                required=True,
            ),
        ),
        'PREFIX=TARGET,... such as "team=registry.example/team,*=mirror.example:5000"',
        "",
        "What is pushed to this cluster and goes on to a registry in the background. The longest prefix decides.",
    ),
)

FIELD_OF = {field.path: field for field in FIELDS}
LIST_OF = {field.key: field for field in LISTS}


def rows() -> tuple[Field | ListField, ...]:
    """Every key, the lists last."""
    return FIELDS + LISTS
