"""Stand-ins that implement the same interfaces as the real thing, and makers of test content."""
