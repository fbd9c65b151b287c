"""Shared downloads, blob readers, the swarm driver, peer links and the tracker client, on trio."""
