"""Pictures of a simulated rollout as PNG, drawn with nothing but zlib: a library for two charts would be thirty times
larger than the rest of the command."""
