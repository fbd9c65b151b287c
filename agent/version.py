"""The version, as in pyproject.toml (a test compares).

Asking importlib.metadata for it would cost every process 0.8 MiB (zipfile, email, csv) and 50 ms.
"""

VERSION = "0.1.0"
