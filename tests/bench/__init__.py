"""Benchmarks: `make bench`. Not tests: they measure beside the best of their field, in the same run, and print."""
