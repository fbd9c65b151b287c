"""Where files come from: images, build contexts, URLs, git."""
