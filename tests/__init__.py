"""Tests, mirroring the tree. Fakes are in fakes/, real components in clients/ and cluster/."""
