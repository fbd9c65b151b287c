"""What a build shows while it runs: plain lines, a terminal view, raw JSON."""
