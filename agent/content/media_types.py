"""The media types of manifests and indexes (OCI image-spec 1.1 and Docker's registry schema 2)."""

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"

INDEXES = frozenset({OCI_INDEX, DOCKER_LIST})
MANIFESTS = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
DOCUMENTS = INDEXES | MANIFESTS

# What we accept from a registry, most usual first.
ACCEPT_DOCUMENTS = (DOCKER_MANIFEST, OCI_MANIFEST, OCI_INDEX, DOCKER_LIST)
OCTET_STREAM = "application/octet-stream"

# What images made here say of their parts.
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
CONFIGS = frozenset({OCI_CONFIG, DOCKER_CONFIG})

# Layers that a registry need not hold (OCI image-spec 1.1, layer.md "Non-Distributable Layers"; Docker's foreign ones).
NOT_DISTRIBUTED = frozenset(
    {
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
    }
)
