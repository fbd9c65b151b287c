"""Configuration: a pure parser that reports every mistake at once, and a loader of file, environment and flags."""
