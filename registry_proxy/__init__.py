"""The OCI distribution API over the node's images: what Docker, containerd and podman take for a registry.

`paths`, `upstreams`, `ranges` and `errors` are PURE; `app.registry_handler` puts the handlers together. How an image
is got (store, swarm, registry) is behind the Protocols in `images`.
"""
