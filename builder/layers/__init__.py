"""Layers on disk: overlay snapshots, copying into trees, the difference as a tar, compression."""
