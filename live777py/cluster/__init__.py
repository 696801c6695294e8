"""Several nodes as one, by way of Redis."""
