"""From what is typed to sources: files, folders, patterns, pipes, addresses."""
