"""Builds images whose layers are seeded as soon as they are finished."""
