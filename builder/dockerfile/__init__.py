"""The language of Dockerfiles: lines, instructions, words, ignore patterns, lint. PURE."""
