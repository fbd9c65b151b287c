"""Real container engines and registries, each started for a test and gone after it."""
