"""Dockerfiles of our own over the whole language, each built by `shoal build` and by the engines that people have.

cases/*.txt      the Dockerfiles with their contexts and flags; case.py says how they are written
differences.txt  where an engine may differ from us, and why

`python -m tests.builder.corpus [--only TEXT] [--engine NAME]...` builds all, and prints a table of what agrees.
"""
