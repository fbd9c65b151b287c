"""Images as people handle them: archives, root file systems, names and IDs, over the store."""
