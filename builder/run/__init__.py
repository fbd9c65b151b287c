"""Runs one command in a container: OCI bundle, mounts, network, seccomp; leaves nothing behind."""
