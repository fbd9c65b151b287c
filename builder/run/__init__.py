"""One RUN in an OCI container: bundle, mounts, network, seccomp, and the clearing away of all of them."""
