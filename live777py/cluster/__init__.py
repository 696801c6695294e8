"""Several nodes as one: who is there, who has which stream, calls among them, and streams that are played elsewhere."""
