"""The OCI distribution API over the store and the swarm."""
