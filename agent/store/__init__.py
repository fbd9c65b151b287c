"""Blobs on disk in an OCI image layout, partial blobs, the image index, eviction."""
