"""From a Dockerfile to a graph of steps: what the target needs, what each step does, and its cache key. PURE."""
